"""Which samples a report shows."""


def worst_samples(table, max_samples_per_class, most_samples):
    """The worst of each class, as rows of a `label_report`.

    Where these are too many, label issues come before others, and each
    class's worst before any class's second.

    Args:
        table: `pandas.DataFrame` of `label_report`.
        max_samples_per_class: Int, the largest number of each class.
        most_samples: Int, the largest number of all.

    Returns:
        A `pandas.DataFrame`, worst first.
    """
    seen = table[table["score"].notna()]
    ranks = seen.groupby("label").cumcount()
    worst = seen.assign(rank=ranks)[ranks < max_samples_per_class]
    worst = worst.sort_values(
        ["is_issue", "rank", "score"],
        ascending=[False, True, True],
        kind="stable",
    )
    return worst[:most_samples].sort_values("score", kind="stable")
