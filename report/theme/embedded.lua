-- The part of Quarto that study.qmd needs and Pandoc does not have: cross-references (@fig-, @tbl-, @sec-),
-- numbered captions, and a figure's alternative text. Used by the embedded engine only.

local typst = FORMAT:match("typst") ~= nil
local KINDS = { fig = "Figure", tbl = "Table", sec = "Section" }
local labels = {} -- identifier -> "Table 3"
local counts = { fig = 0, tbl = 0 }
local depth = {}

local function number(identifier, kind)
  counts[kind] = counts[kind] + 1
  labels[identifier] = KINDS[kind] .. " " .. counts[kind]
end

local function collect(block)
  if block.t == "Header" and not block.classes:includes("unnumbered") then
    depth[block.level] = (depth[block.level] or 0) + 1
    for level in pairs(depth) do
      if level > block.level then
        depth[level] = 0
      end
    end
    local parts = {}
    for level = 1, block.level do
      table.insert(parts, tostring(depth[level] or 0))
    end
    labels[block.identifier] = "Section " .. table.concat(parts, ".")
  elseif block.t == "Figure" and block.identifier:match("^fig%-") then
    number(block.identifier, "fig")
  elseif block.t == "Table" and block.identifier:match("^tbl%-") then
    number(block.identifier, "tbl")
  end
end

local function caption_with_number(identifier, caption)
  local inlines = pandoc.Inlines({
    pandoc.Span({ pandoc.Str(labels[identifier] .. ".") }, { class = "caption-label" }),
    pandoc.Space(),
  })
  inlines:extend(pandoc.utils.blocks_to_inlines(caption.long))
  return inlines
end

local function reference(cite)
  local id = cite.citations[1].id
  local kind = id:match("^(%a+)%-")
  if not KINDS[kind] then
    return nil
  end
  if not labels[id] then
    error("cross-reference to '" .. id .. "', which the report does not have")
  end
  if typst then
    return pandoc.RawInline("typst", "#ref(<" .. id .. ">)")
  end
  return pandoc.Link(labels[id]:gsub(" ", "\u{a0}"), "#" .. id, "", { class = "cross-reference" })
end

-- Pandoc's Typst writer drops the alternative text, so the call is written here.
local function typst_image(image, alt)
  local quoted = alt:gsub('[\\"]', "\\%0")
  local call = '#image("%s", width: %s, alt: "%s")'
  return pandoc.RawInline("typst", call:format(image.src, image.attributes.width or "100%", quoted))
end

local function figure(fig)
  fig.content = fig.content:walk({
    Image = function(image)
      local alt = image.attributes["fig-alt"] or ""
      if typst then
        return typst_image(image, alt)
      end
      image.attributes["fig-alt"] = nil
      image.caption = pandoc.Inlines(alt)
      return image
    end,
  })
  if not typst then
    fig.caption.long = { pandoc.Plain(caption_with_number(fig.identifier, fig.caption)) }
  end
  return fig
end

-- HTML: the caption stands above and does not scroll; a table wider than the screen scrolls by itself.
local function html_table(tbl)
  local caption = caption_with_number(tbl.identifier, tbl.caption)
  local open = string.format('<figure class="table-figure" id="%s">', tbl.identifier)
  local region = string.format('<div class="table-scroll" role="region" aria-label="%s" tabindex="0">', labels[tbl.identifier])
  tbl.caption = { long = {} }
  tbl.identifier = ""
  local text = pandoc.Blocks({ pandoc.RawBlock("html", open .. "<figcaption>"), pandoc.Plain(caption) })
  text:insert(pandoc.RawBlock("html", '</figcaption>' .. region))
  text:insert(tbl)
  text:insert(pandoc.RawBlock("html", "</div></figure>"))
  return text
end

function Pandoc(doc)
  doc.blocks:walk({ Block = collect, traverse = "topdown" })
  return doc:walk({
    Cite = reference,
    Figure = function(fig)
      return labels[fig.identifier] and figure(fig) or nil
    end,
    Table = function(tbl)
      if not labels[tbl.identifier] then
        return nil
      end
      return not typst and html_table(tbl) or nil
    end,
  })
end
