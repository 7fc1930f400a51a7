"""Runs that stand in files, each a line of JSON."""

import json


def recorded_rows(path):
    """The runs that a file holds, each a dict."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def row_of(rows, run):
    """The row of a run, or None."""
    found = [row for row in rows if run.items() <= row.items()]
    return found[-1] if found else None
