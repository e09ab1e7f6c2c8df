# SPDX-License-Identifier: BSD-2-Clause
"""The figures as an SVG: a panel for each machine and mode, its scale logarithmic.

A row has a bar for gump, one for Go, and a line where our bar is.
"""
import math
from xml.sax.saxutils import escape

from report import quantity
from rows import ROWS, bar_of

LABEL, PLOT, VALUE = 230, 520, 80  # widths of the three columns
ROW, BAR, HEAD, FOOT = 34, 12, 64, 34
COLOURS = ['#2563a8', '#c9762b']  # ours, theirs
INK, PALE, GRID, GROUND = '#222222', '#666666', '#e2e2e2', '#fcfcfa'


def text(x, y, words, colour=INK, size=12, anchor='start', weight='normal'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')


def rect(x, y, width, height, colour):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" '
            f'fill="{colour}"/>')


def line(x, top, bottom, colour, width=1):
    return (f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"/>')


class Scale:
    """From nanoseconds to a place on the x axis."""

    def __init__(self, values):
        self.low = math.floor(math.log10(max(1, min(values))))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)

    def __call__(self, ns):
        share = (math.log10(max(ns, 1)) - self.low) / (self.high - self.low)
        return LABEL + PLOT * max(0.004, share)

    def decades(self):
        return range(self.low, self.high + 1)


def decade_name(power):
    if power < 6:
        return f'{10 ** power:,}'
    return f'{10 ** (power - 6)} ms' if power < 9 else f'{10 ** (power - 9)} s'


def panel(top, arch, mode, figures, names):
    """One panel's elements, and the y below it."""
    rows = [row for row in ROWS if row.figure != 'speedup'
            and any(figures.get((guest, row.figure), 0) > 0 for guest in names)]
    if not rows:
        return [], top
    bars = [bar_of(row, mode) for row in rows if bar_of(row, mode)]
    scale = Scale(bars + [figures[key] for key in figures
                          if key[1] in {row.figure for row in rows} and figures[key] > 0])
    out = [text(16, top + 24, f'{arch}: {mode.title}', size=15, weight='bold')]
    x = LABEL
    for name, colour in zip(names, COLOURS):
        out += [rect(x, top + 36, 12, 12, colour), text(x + 17, top + 46, name)]
        x += 110
    if bars:
        out += [line(x + 6, top + 35, top + 49, INK, 2), text(x + 14, top + 46, 'our bar')]
    first, last = top + HEAD, top + HEAD + ROW * len(rows)
    for power in scale.decades():
        place = scale(10 ** power)
        out += [line(place, first, last, GRID),
                text(place, last + 16, decade_name(power), PALE, 11, 'middle')]
    for number, row in enumerate(rows):
        y = first + ROW * number + 4
        out.append(text(LABEL - 8, y + 17, row.label.strip(), anchor='end'))
        bar = bar_of(row, mode)
        for place, (name, colour) in enumerate(zip(names, COLOURS)):
            value = figures.get((name, row.figure))
            if value is not None and value > 0:
                end = scale(value)
                after = end  # the figure, not across the line
                if bar and end - 4 < scale(bar) < end + 60:
                    after = scale(bar)
                out += [rect(LABEL, y + place * BAR, end - LABEL, BAR - 1, colour),
                        text(after + 5, y + place * BAR + 10, quantity(row.figure, value),
                             PALE, 11)]
        if bar:
            out.append(line(scale(bar), y - 2, y + 2 * BAR, INK, 2))
    return out, last + FOOT


def write_svg(path, note, panels):
    """panels: (arch, mode, figures, names of guests) each."""
    out, top = [], 8
    for one in panels:
        elements, top = panel(top, *one)
        out += elements
    width, height = LABEL + PLOT + VALUE, top + 24
    out.append(text(16, top + 10, note + ' Logarithmic; shorter is better.', PALE, 11))
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                   f'viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
                   f'<rect width="100%" height="100%" fill="{GROUND}"/>\n'
                   + '\n'.join(out) + '\n</svg>\n')
