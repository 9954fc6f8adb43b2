# Makes documentation for Doxygen out of a header's plain comments: the first block becomes the file's, a line
# of its own that of the next declaration, one behind a declaration, with the lines below that begin in its
# column, that of this declaration. Numbers of lines stay as they are.
# What Doxygen would take for commands, outside of `code`.
function escaped(text, parts, n, i) {
  n = split(text, parts, "`")
  text = ""
  for (i = 1; i <= n; ++i) {
    if (i % 2) {
      gsub(/\\/, "\\\\", parts[i])
      gsub(/[@<>#%&"]/, "\\\\&", parts[i])
    }
    text = text (i > 1 ? "`" : "") parts[i]
  }
  sub(/[.][.]$/, ".\\&#46;", text)  # else the end of a list
  return text
}

# Where a comment begins, from 1; 0: nowhere. Slashes inside quotes are none.
function comment_at(line, i, c, quote) {
  quote = ""
  for (i = 1; i < length(line); ++i) {
    c = substr(line, i, 1)
    if (quote != "") {
      if (c == "\\") ++i
      else if (c == quote) quote = ""
    } else if (c == "\"" || c == "'") {
      quote = c
    } else if (substr(line, i, 2) == "//") {
      return i
    }
  }
  return 0
}

{
  at = comment_at($0)
  code = at ? substr($0, 1, at - 1) : $0
  text = at ? substr($0, at + 2) : ""
  if (!at) {
    behind = 0
    print in_head && $0 == "#pragma once" ? "/// \\file" : $0
    in_head = 0
  } else if (code ~ /^ *$/) {
    if (FNR == 1) in_head = 1
    if (at == behind) print code "///<" escaped(text)
    else { behind = 0; print code "///" escaped(text) }
  } else if (code ~ /^ *} *$/ || code ~ /[{(] *$/ || code ~ /^ *#/ || code ~ /^ *(public|private|protected):/) {
    behind = 0
    print code  # about what ends or begins here
  } else {
    behind = at
    print code "///<" escaped(text)
  }
}
