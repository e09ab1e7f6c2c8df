# SPDX-License-Identifier: BSD-2-Clause
"""A strict reader of Prometheus's text format, version 0.0.4: what a scrape would let pass is an error here."""
import re

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?|NaN|[+-]Inf)')


class Wrong(Exception):
    """The text is not as the format asks for; says which line."""


def family(lines, at):
    """(name, kind) of the HELP and TYPE lines there."""
    about = re.fullmatch(rf'# HELP ({NAME}) \S.*', lines[at])
    kind = re.fullmatch(rf'# TYPE ({NAME}) (counter|gauge)', lines[at + 1]) if at + 1 < len(lines) else None
    if not about or not kind or about[1] != kind[1]:
        raise Wrong(f'not HELP and TYPE of one metric: {lines[at:at + 2]}')
    if (kind[2] == 'counter') != kind[1].endswith('_total'):
        raise Wrong(f'a counter, and no other, is named _total: {lines[at + 1]}')
    return kind[1], kind[2]


def parse(text):
    """{name: value, or {labels: value} if it has labels}, and {name: kind}."""
    if not text.endswith('\n') or '\r' in text:
        raise Wrong('lines do not end in a line feed')
    lines, values, kinds, at = text[:-1].split('\n'), {}, {}, 0
    while at < len(lines):
        name, kind = family(lines, at)
        if name in kinds:
            raise Wrong(f'{name} is there twice')
        kinds[name], samples, at = kind, {}, at + 2
        while at < len(lines) and not lines[at].startswith('#'):
            sample = SAMPLE.fullmatch(lines[at])
            if not sample or sample[1] != name or sample[2] in samples:
                raise Wrong(f'not a new sample of {name}: {lines[at]!r}')
            samples[sample[2]] = float(sample[3])
            at += 1
        if not samples or (None in samples and len(samples) > 1):
            raise Wrong(f'the samples of {name}: {samples}')
        values[name] = samples.get(None, samples)
    return values, kinds
