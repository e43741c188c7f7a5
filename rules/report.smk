# Tables and figures from the runs' files, and the report that includes them.
