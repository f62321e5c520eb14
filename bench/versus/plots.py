"""Small SVG plots, without a library."""

import math
from html import escape

STYLE = "<style>text{font:12px sans-serif;fill:#333}.t{font-weight:bold}</style>"


def frame(width, height, title, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{STYLE}'
            f'<rect width="100%" height="100%" fill="white"/><text class="t" x="10" y="18">{escape(title)}</text>{body}</svg>\n')


def bars(title, values):
    """Horizontal bars of (name, value > 0) on a logarithmic scale."""
    if not values:
        return frame(400, 30, title, "")
    low = 10 ** math.floor(math.log10(min(v for _, v in values)))
    span = math.log10(max(v for _, v in values) / low) or 1
    body = []
    for i, (name, value) in enumerate(values):
        y, width = 30 + i * 20, 4 + 420 * math.log10(value / low) / span
        colour = "#2b6cb0" if ": moraine" in name else "#999" if name.endswith("alone") else "#c05621"
        body.append(f'<text x="300" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
                    f'<rect x="306" y="{y}" width="{width:.0f}" height="15" fill="{colour}"/>'
                    f'<text x="{312 + width:.0f}" y="{y + 12}">{value:.2f}</text>')
    return frame(800, 40 + 20 * len(values), title, "".join(body))


def line(title, points):
    """Values over sizes, both from zero and evenly spaced by size's place."""
    top = max(v for _, v in points) * 1.15
    body, path = [], []
    for i, (size, value) in enumerate(points):
        x, y = 70 + i * 380 / max(1, len(points) - 1), 220 - 180 * value / top
        path.append(f"{x:.0f},{y:.0f}")
        body.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="#2b6cb0"/><text x="{x:.0f}" y="{y - 8:.0f}" '
                    f'text-anchor="middle">{value:.2f}</text><text x="{x:.0f}" y="240" text-anchor="middle">{escape(str(size))}</text>')
    body.append(f'<polyline points="{" ".join(path)}" fill="none" stroke="#2b6cb0" stroke-width="2"/>'
                '<line x1="50" y1="220" x2="480" y2="220" stroke="#999"/>')
    return frame(520, 255, title, "".join(body))
