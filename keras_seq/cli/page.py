"""A page of HTML with texts, tables and pictures, whole in one file: it asks for nothing from anywhere."""

import base64
import io
from html import escape

_STYLE = """
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .2rem .8rem; text-align: left; }
th { border-bottom: 2px solid #888; } td { border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } .verdict { background: #f2f2f2; border-left: .3rem solid #555; padding: .6rem 1rem; }
nav a { margin-right: 1rem; } pre { white-space: pre-wrap; }
@media print { nav { display: none; } h2 { break-after: avoid; } img { break-inside: avoid; } }
"""


class Page:
    """Sections, one after the other; `html()` is the page.

    Args:
        title: of the page.
    """

    def __init__(self, title):
        self.title = title
        self._sections = []

    def section(self, title):
        self._sections.append((title, []))

    def text(self, text):
        """A paragraph, line breaks as they are."""
        self._add(f"<p>{escape(text)}</p>".replace("\n", "<br>"))

    def verdict(self, text):
        """A paragraph that is set off from the others."""
        self._add(f'<p class="verdict">{escape(text)}</p>'.replace("\n", "<br>"))

    def table(self, rows):
        """A list of dicts with the same keys; without any, nothing."""
        if not rows:
            return
        head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_told(value))}</td>" for value in row.values()) + "</tr>" for row in rows
        )
        self._add(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")

    def picture(self, figure, alt):
        """A matplotlib figure, as PNG in the page; `alt` says in words what it shows."""
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=120, bbox_inches="tight")
        data = base64.b64encode(file.getvalue()).decode("ascii")
        self._add(f'<p><img src="data:image/png;base64,{data}" alt="{escape(alt)}"></p>')

    def html(self):
        links = "".join(f'<a href="#s{n}">{escape(title)}</a>' for n, (title, _) in enumerate(self._sections))
        body = "".join(
            f'<h2 id="s{n}">{escape(title)}</h2>{"".join(parts)}' for n, (title, parts) in enumerate(self._sections)
        )
        head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        return (
            f'<!DOCTYPE html><html lang="en"><head>{head}<title>{escape(self.title)}</title></head>'
            f"<body><h1>{escape(self.title)}</h1><nav>{links}</nav>{body}</body></html>\n"
        )

    def _add(self, part):
        self._sections[-1][1].append(part)


def _told(value):
    """A number with four digits that count, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
