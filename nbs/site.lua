-- For Quarto only; `make docs` does the same in tools/docs.py.
-- Links to sources in a repository that is not named lead nowhere, so only their text stays.
function Link(link)
  if link.target:match('^/blob/') then return link.content end
end

-- What a cell says of a function begins with a rule and a heading. Out of its frame, the heading enters "On this page".
function Div(div)
  local first = div.content[1]
  if div.classes:includes('cell') and first and first.t == 'HorizontalRule' then return div.content end
  if div.classes:includes('cell') and first and first.t == 'Div' and first.content[1]
     and first.content[1].t == 'HorizontalRule' then return first.content end
end
