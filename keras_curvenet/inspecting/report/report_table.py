"""The report's CSV: every sample, worst first."""

import re

import numpy as np

# A spreadsheet takes what begins with one of = + - @ (also in full width) for
# a formula, be it at the beginning of a cell or of what it makes a cell of,
# where it divides at other characters than commas.
_FORMULA = re.compile(
    r"(^|[,;|\"\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])"
)


def with_names(table, class_names, file_paths):
    """A `label_report` with names of classes and files where they are known.

    Names that a spreadsheet would take for a formula have an apostrophe before
    it.
    """
    named = table.copy(deep=False)
    if class_names is not None:
        names = _without_formulas([*class_names, ""])  # The last for -1.
        for column in ("suggested_label", "label"):
            if column in named:
                place = named.columns.get_loc(column) + 1
                name = column.replace("label", "label_name")
                named.insert(place, name, names[named[column]])
    if file_paths is not None:
        paths = _without_formulas(file_paths[named["sample_id"]])
        named.insert(1, "file_path", paths)
    return named


def _without_formulas(strings):
    """Object array of strings as UTF-8 and a spreadsheet can hold them."""
    # All are looked at as one text, and one by one only where it is needed.
    lines = "x\n".join(["", *strings])
    try:
        lines.encode()
    except UnicodeEncodeError:  # A file's name may hold bytes that are no text.
        strings = [
            string.encode(errors="backslashreplace").decode()
            for string in strings
        ]
    if _FORMULA.search(lines):
        strings = [_FORMULA.sub(r"\1'", string) for string in strings]
    return np.array(strings, dtype=object)
