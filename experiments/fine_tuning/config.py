"""A shipped network fine-tuned on past rows of a table.

Claim: none beforehand. How much does `pretrain --data FILE --init-weights pca-small-1`
    gain on later rows of the same table, from how many past rows, and does changing
    the blocks (bootstrap, rescaled columns, subsets of columns) help?
Source: ours.
Command: python experiments/fine_tuning/run.py
Expected: README.md holds the table.
Wall time: 35 min on one core.
"""

import dataclasses

from spectral_tf.config import TableConfig


@dataclasses.dataclass(frozen=True)
class Arm:
    """One table with so many past rows, changed or not.

    Attributes:
        table: `mnist`, `fashion-mnist`, `digits` or `breast-cancer`.
        past: rows that the run is given, its own held-out rows among them.
        augmented: whether blocks are changed, by `AUGMENTED`.
    """

    table: str
    past: int
    augmented: bool

    @property
    def name(self) -> str:
        """As the tables have it."""
        kind = "augmented" if self.augmented else "plain"
        return f"{self.table}, {self.past:,}, {kind}"


@dataclasses.dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        arms: the runs.
        weights: the shipped network that all of them start from.
        num_steps: of training.
        batch_size: instances in a step, half of them synthetic.
        test_rows: rows of a test block.
        num_instances: test blocks, and random instances of the old kind.
        seed: of the order of the rows and of the training.
    """

    arms: tuple[Arm, ...]
    weights: str = "pca-small-1"
    num_steps: int = 100
    batch_size: int = 16
    test_rows: int = 50
    num_instances: int = 256
    seed: int = 0


SIZES = (
    ("breast-cancer", 100),
    ("breast-cancer", 455),
    ("mnist", 1000),
    ("fashion-mnist", 10000),
    ("digits", 1000),
    ("mnist", 100),
    ("mnist", 4000),
)
"""Tables and numbers of past rows; MNIST as it is installed has 4,000, not 10,000."""

AUGMENTED = TableConfig(replacement=True, rescale=0.3, narrow="subset")
"""The changes of an augmented arm, which has blocks of half of the columns besides."""


def study(*, smoke: bool = False) -> Study:
    """The study, or one of two short runs."""
    if not smoke:
        arms = (Arm(*size, augmented) for size in SIZES for augmented in (False, True))
        return Study(arms=tuple(arms))
    arm = Arm("breast-cancer", 100, augmented=False)
    return Study(arms=(arm,), num_steps=1, batch_size=2, num_instances=4)
