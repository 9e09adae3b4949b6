"""Replaces each cfg_if! of a source tree by its branch for x86_64 Linux with raw system calls: without_cfg_if.py FOLDER"""

import pathlib
import re
import sys

# Where it is the second one.
ELSE = ("sys/mod.rs", "sys/linux/pidfd.rs")
BLOCK = re.compile(
    r"^( *)cfg_if::cfg_if! \{\n(?: *//.*\n)*\1    if #\[cfg\([^{]*\)\] \{\n(.*?)^\1    \} else \{\n(.*?)^\1    \}\n\1\}\n",
    re.MULTILINE | re.DOTALL,
)

folder = pathlib.Path(sys.argv[1])
for path in folder.rglob("*.rs"):
    text = path.read_text()
    name = path.relative_to(folder).as_posix()
    plain = BLOCK.sub(lambda block: block[3 if name in ELSE else 2], text)
    if name == "sys/copy/mod.rs":
        # Compiled by its own test alone.
        plain += "#[cfg(any())]\nmod words;\n"
    if "cfg_if!" in plain:
        sys.exit(f"{name}: a cfg_if! of another form")
    if plain != text:
        path.write_text(plain)
