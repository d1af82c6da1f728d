#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No source file over 800 lines, no function over 70.

Functions are found by counting braces after comments, strings and preprocessor lines are blanked. A brace opens a function if
what stands before it, back to the last ; { or }, has a parameter list and is no type or namespace. What is nested in a function
(lambdas, local types) counts for it.
"""
import re
import sys

import tree

MOST_FILE_LINES = 800
MOST_FUNCTION_LINES = 70
SOURCES = (".h", ".cc", ".py", ".sh", ".cmake")

BLANKED = re.compile(
    r'R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'  # raw strings
    r"|//[^\n]*|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"
    r"|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE,
)
CONTAINER = re.compile(r"^\s*(?:inline\s+|export\s+)*(?:namespace|class|struct|union|enum|extern)\b|\b(?:class|struct|union|enum)\s+\w+[^()]*$")


def blank(text):
    """The same text with comments, literals and directives as spaces; line numbers stay."""
    return BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def functions(text):
    """(first line, lines) of every outermost function body with its signature."""
    text = blank(text)
    found, stack, header_at, inside_since = [], [], 0, None
    for at, sign in enumerate(text):
        if sign == "{":
            header = text[header_at:at]
            is_function = inside_since is None and ")" in header and not CONTAINER.search(header)
            if is_function:
                first = header_at + len(header) - len(header.lstrip())
                inside_since = (len(stack), first)
            stack.append(at)
            header_at = at + 1
        elif sign == "}" and stack:
            stack.pop()
            if inside_since is not None and inside_since[0] == len(stack):
                first = text.count("\n", 0, inside_since[1]) + 1
                last = text.count("\n", 0, at) + 1
                found.append((first, last - first + 1))
                inside_since = None
            header_at = at + 1
        elif sign == ";":
            header_at = at + 1
    return found


def check_file(path, text):
    complaints = []
    lines = text.count("\n")
    if lines > MOST_FILE_LINES:
        complaints.append(f"{path}: {lines} lines; at most {MOST_FILE_LINES}: split it by what belongs together")
    if tree.is_cpp(path):
        for first, length in functions(text):
            if length > MOST_FUNCTION_LINES:
                complaints.append(f"{path}:{first}: a function of {length} lines; at most {MOST_FUNCTION_LINES}")
    return complaints


def check(root=tree.ROOT, files=None):
    complaints = []
    for path in tree.files(root) if files is None else files:
        if path.endswith(SOURCES):
            complaints += check_file(path, tree.read(path, root))
    return complaints


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
