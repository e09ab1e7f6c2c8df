# SPDX-License-Identifier: BSD-2-Clause
"""The figures as a table of text and as JSON."""
import json

from rows import ROWS, bar_of, met


def quantity(figure, ns):
    """A figure with three or four digits: bare below 100 us, where all are per operation."""
    if ns is None:
        return '-'
    if figure == 'speedup':
        return f'{ns:.2f}'
    for unit, size in ('s', 1e9), ('ms', 1e6), ('us', 1e5):
        if ns >= size:
            scaled = ns / (1e3 if unit == 'us' else size)
            return f'{scaled:.3g} {unit}' if scaled < 100 else f'{scaled:.0f} {unit}'
    return f'{ns:.1f}' if ns < 100 and round(ns, 1) != round(ns) else f'{ns:,.0f}'


def ratio(figure, ours, theirs):
    if ours is None or theirs is None or ours <= 0:
        return ''
    value = ours / theirs if figure == 'speedup' else theirs / ours
    return f'{value:.1f}'


def verdict(row, mode, value):
    if bar_of(row, mode) is None or value is None:
        return ''
    return 'met' if met(row, value) else 'not met'


def table(arch, mode, figures, names):
    """The lines for one machine and mode; figures: {(guest, figure): ns}."""
    wanted = [row for row in ROWS if any((guest, row.figure) in figures for guest in names)]
    if not wanted:
        return []
    head = [f'{arch}: {mode.title}']
    head += names + (['ratio'] if len(names) > 1 else []) + ['bar', '']
    lines = [head]
    for row in wanted:
        values = [figures.get((guest, row.figure)) for guest in names]
        line = [row.label] + [quantity(row.figure, value) for value in values]
        if len(names) > 1:
            line.append(ratio(row.figure, *values))
        bar = bar_of(row, mode)
        line += [quantity(row.figure, bar) if bar is not None else '',
                 verdict(row, mode, values[0])]
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return ['  '.join([line[0].ljust(widths[0])]
                      + [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1])]
                      + [line[-1]]).rstrip() for line in lines]


def write_json(path, about, results):
    """results: {(arch, mode): figures as for table()}."""
    out = dict(about, results=[])
    for (arch, mode), figures in results.items():
        for row in ROWS:
            values = {guest: value for (guest, figure), value in figures.items()
                      if figure == row.figure}
            if values:
                out['results'].append({
                    'arch': arch, 'mode': mode.name, 'harts': mode.harts,
                    'figure': row.figure, 'label': row.label.strip(), 'bar': bar_of(row, mode),
                    'unit': 'times' if row.figure == 'speedup' else 'ns', 'values': values})
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(out, file, indent=1)
        file.write('\n')
