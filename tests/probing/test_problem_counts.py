"""Counts of problems inside traced steps."""

import pytest
import tensorflow as tf

from keras_curvenet.probing.problem_counts import ProblemCounts


@pytest.mark.parametrize("trace", [tf.function, lambda step: step])
def test_steps_are_added_up_until_they_are_cleared(trace):
    counts = ProblemCounts(("bad labels", "steps left out"))
    assert counts.found() == {"bad labels": 0, "steps left out": 0}

    @trace
    def step(num_bad, is_left_out):
        counts.add({"steps left out": is_left_out, "bad labels": num_bad})

    step(tf.constant(2), tf.constant(False))
    step(tf.constant(3), tf.constant(True))
    assert counts.found() == {"bad labels": 5, "steps left out": 1}
    (variable,) = counts.variables
    assert variable.numpy().tolist() == [5, 1]
    counts.clear()
    assert counts.found() == {"bad labels": 0, "steps left out": 0}
