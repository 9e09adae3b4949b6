"""Prints the public API as a folder of rustdoc's pages shows it, one line for each item, method and implementation."""

import html.parser
import pathlib
import re
import sys

# What every type has, and what `[u8]` lends to the types that dereference to it.
FOREIGN = ("deref-methods", "synthetic-implementations", "blanket-implementations")
VOID = ("br", "hr", "img", "input", "link", "meta", "wbr")


class Page(html.parser.HTMLParser):
    """Collects the texts of declarations and of the headers of methods and implementations."""

    def __init__(self):
        super().__init__()
        self.section = ""
        self.depth = 0  # of the elements within the one that is being collected
        self.text = ""
        self.lines = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        classes = (attributes.get("class") or "").split()
        if tag == "h2":
            self.section = attributes.get("id") or ""
        if self.depth:
            self.depth += tag not in VOID
            self.text += " " if tag in ("br", "div") else ""
        elif "code-header" in classes or "item-decl" in classes:
            self.depth, self.text = 1, ""

    def handle_endtag(self, tag):
        if self.depth and tag not in VOID:
            self.depth -= 1
            if not self.depth:
                # The sign marks what reads or writes, for the reader of the page.
                self.finish(" ".join(self.text.replace("ⓘ", "").split()))

    def handle_data(self, data):
        if self.depth:
            self.text += data

    def finish(self, line):
        # The methods of a trait are known by the trait.
        method_of_trait = self.section == "trait-implementations" and not line.startswith(("impl", "type"))
        if not self.section.startswith(FOREIGN) and not method_of_trait:
            self.lines.append(line)


def main(folder):
    for path in sorted(pathlib.Path(folder).rglob("*.html")):
        name = re.fullmatch(r"(struct|enum|trait|fn|type|constant|macro)\.(\w+)\.html", path.name)
        page = Page()
        page.feed(path.read_text())
        if name:
            module = path.parent.relative_to(folder).parts
            # The types of descriptors are another crate's, and more or less of it by feature: only their names are ours.
            lines = [name[1]] if module == ("fd",) else page.lines
            for line in lines:
                print("::".join([*module, name[2]]) + ": " + line)


main(sys.argv[1])
