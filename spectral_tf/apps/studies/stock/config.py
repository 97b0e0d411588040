"""The settings of the stock study."""

import dataclasses

from spectral_tf.config.base import Config, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class StockConfig(Config):
    """How demand is split, what is injected, how much a person can check."""

    # Share of the days that is the past: what every method learns from.
    past: float = 0.6
    # Days of the windows that an item-day is seen through.
    windows: tuple[int, ...] = (1, 3, 7, 14)
    # Faults of each kind that are injected into the days after the past.
    events: int = 12
    # Alarms that a person can check in a week.
    alarms_per_week: int = 10
    # Steps of fine-tuning on the past; 0 leaves it out.
    fine_tune_steps: int = 60
    # Of `past_rows`, those at which fine-tuning is tried, too, with augmentation and
    # without; about a minute each.
    fine_tune_rows: tuple[int, ...] = (100,)
    # Resamples of a bootstrap interval.
    resamples: int = 200
    # Past rows of the study of how many are needed; counts above the past's are left
    # out, and the whole past is added.
    past_rows: tuple[int, ...] = (100, 300, 1000, 3000, 10000)
    # Seed of the faults, the subsamples, the forests and the bootstrap.
    seed: int = 0

    def validate(self) -> None:
        """Check the bounds."""
        self.at_least(1, "events", "alarms_per_week")
        self.at_least(0, "seed", "fine_tune_steps")
        self.at_least(20, "resamples")
        require(
            0.3 <= self.past <= 0.9,
            f"StockConfig.past={self.past} must lie in [0.3, 0.9]; try 0.6.",
        )
        require(
            len(self.windows) >= 2
            and self.windows[0] == 1
            and list(self.windows) == sorted(set(self.windows)),
            f"StockConfig.windows={self.windows} must begin with 1 and rise; try 1 3 "
            "7 14.",
        )
        require(
            len(self.past_rows) > 0 and min(self.past_rows) >= 20,
            f"StockConfig.past_rows={self.past_rows} must be at least 20 each.",
        )

    @property
    def memory(self) -> int:
        """Days that the longest window looks back, today included."""
        return self.windows[-1]
