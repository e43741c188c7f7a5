-- What study.qmd asks of both engines (Quarto, and Pandoc on its own), in HTML and in Typst:
--   * a table header "Group › Column" puts neighbouring columns of one group under a common heading;
--   * a column called "reported", or a row so called behind an empty first cell, is set apart from ours;
--   * a row with nothing but a bold first cell becomes a heading across the table;
--   * table columns take the width their content needs;
--   * the boxes .scale-notice and .explain, .contents, the table of contents, and .pdf-only, which the page leaves out;
--   * .finding, a sentence beside a small picture.

local SEPARATOR = " › "
local typst = FORMAT:match("typst") ~= nil

local function stringify(cell)
  return pandoc.utils.stringify(cell.contents)
end

local function split_header(text)
  local from, to = text:find(SEPARATOR, 1, true)
  if not from then
    return nil, text
  end
  return text:sub(1, from - 1), text:sub(to + 1)
end

local function mark_reported(cell)
  cell.classes:insert("reported")
  if typst then
    for _, block in ipairs(cell.contents) do
      if block.content and #block.content > 0 then
        block.content:insert(1, pandoc.RawInline("typst", "#reported["))
        block.content:insert(pandoc.RawInline("typst", "]"))
      end
    end
  end
end

-- Marks a row of reported figures; merges a row that holds a family's name into one cell.
local function set_apart(row)
  local texts = row.cells:map(stringify)
  local alone = #texts > 1 and texts[1] ~= "" and table.concat(texts) == texts[1]
  if texts[1] == "" and texts[2] == "reported" then
    for i = 2, #row.cells do
      mark_reported(row.cells[i])
    end
  elseif alone then
    local cell = pandoc.Cell(row.cells[1].contents, "AlignLeft", 1, #texts)
    cell.classes:insert("family")
    row.cells = { cell }
  end
end

-- A header cell with text of its own; a heading over several columns is centred.
local function header_cell(text, rows, columns)
  local align = columns > 1 and "AlignCenter" or "AlignDefault"
  local content = pandoc.Inlines(text)
  local cell = pandoc.Cell({ pandoc.Plain(content) }, align, rows, columns)
  if columns > 1 then
    cell.classes:insert("group")
  end
  return cell
end

-- Two header rows from one row of "Group › Column" cells.
local function group_header(cells)
  local top, bottom = {}, {}
  local i = 1
  while i <= #cells do
    local group, name = split_header(cells[i])
    if not group then
      table.insert(top, header_cell(name, 2, 1))
      i = i + 1
    else
      local last = i
      while last < #cells and split_header(cells[last + 1]) == group do
        last = last + 1
      end
      table.insert(top, header_cell(group, 1, last - i + 1))
      for k = i, last do
        local _, column = split_header(cells[k])
        table.insert(bottom, header_cell(column, 1, 1))
      end
      i = last + 1
    end
  end
  return pandoc.List({ pandoc.Row(top), pandoc.Row(bottom) })
end

local function is_reported(text)
  local group, name = split_header(text)
  return name:match("^reported") ~= nil or group == "Reported"
end

function Table(tbl)
  for i, spec in ipairs(tbl.colspecs) do
    tbl.colspecs[i] = { spec[1] }
  end
  local head = tbl.head.rows[1]
  if not head then
    return tbl
  end
  local texts = head.cells:map(stringify)
  local grouped = false
  for i, text in ipairs(texts) do
    grouped = grouped or split_header(text) ~= nil
    if is_reported(text) then
      for _, body in ipairs(tbl.bodies) do
        for _, row in ipairs(body.body) do
          mark_reported(row.cells[i])
        end
      end
    end
  end
  for _, body in ipairs(tbl.bodies) do
    for _, row in ipairs(body.body) do
      set_apart(row)
    end
  end
  if grouped then
    tbl.head.rows = group_header(texts)
  end
  return tbl
end

-- The links to a document's sections and, below each, to its subsections, with the numbers that they get.
local function contents(doc)
  local counts, list = { 0, 0 }, pandoc.List()
  doc.blocks:walk({
    Header = function(header)
      local text = header.content:clone()
      if header.level > 2 or header.classes:includes("unlisted") then
        return nil
      end
      if not header.classes:includes("unnumbered") then
        counts = header.level == 1 and { counts[1] + 1, 0 } or { counts[1], counts[2] + 1 }
        text:insert(1, pandoc.Span(table.concat(counts, ".", 1, header.level), { class = "toc-section-number" }))
        text:insert(2, pandoc.Space())
      end
      local item = { pandoc.Plain(pandoc.Link(text, "#" .. header.identifier)) }
      if header.level == 1 then
        list:insert(item)
      elseif list[#list][2] then
        list[#list][2].content:insert(item)
      else
        table.insert(list[#list], pandoc.BulletList({ item }))
      end
    end,
  })
  return {
    pandoc.RawBlock("html", '<nav id="contents" aria-label="Contents"><details><summary>Contents</summary>'),
    pandoc.BulletList(list),
    pandoc.RawBlock("html", "</details></nav>"),
  }
end

function Pandoc(doc)
  return doc:walk({
    Div = function(div)
      return div.classes:includes("contents") and contents(doc) or nil
    end,
  })
end

-- The picture stands in a column of its own. Pandoc's Typst writer drops the alternative text, so the call is written here.
local function finding(div)
  local call = ""
  local body = div:walk({
    Image = function(image)
      local alt = pandoc.utils.stringify(image.caption):gsub('[\\"]', "\\%0")
      call = string.format('#image("%s", width: 100%%, alt: "%s")', image.src, alt)
      return {}
    end,
  })
  body.content:insert(1, pandoc.RawBlock("typst", "#finding[" .. call .. "]["))
  body.content:insert(pandoc.RawBlock("typst", "]"))
  return body.content
end

function Div(div)
  if typst and div.classes:includes("contents") then
    return pandoc.RawBlock("typst", "#outline(title: [Contents], depth: 2, indent: 1.4em)")
  end
  if not typst then
    return div.classes:includes("pdf-only") and {} or nil
  end
  if div.classes:includes("finding") then
    return finding(div)
  end
  for class, name in pairs({ ["scale-notice"] = "notice-box", ["explain"] = "explain-box" }) do
    if div.classes:includes(class) then
      div.content:insert(1, pandoc.RawBlock("typst", "#" .. name .. "["))
      div.content:insert(pandoc.RawBlock("typst", "]"))
      return div.content
    end
  end
end
