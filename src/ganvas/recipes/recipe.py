"""What a recipe is."""

from dataclasses import dataclass, field

from ganvas.data.config import DataConfig
from ganvas.models import ModelConfig
from ganvas.training.config import RunConfig, TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """A configuration with its origin."""

    name: str
    paper: str
    year: int
    summary: str
    model: ModelConfig
    training: TrainingConfig
    data: DataConfig = field(default_factory=DataConfig)
    """What to begin with; `--data` has its own domains."""

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return RunConfig(name=self.name, data=self.data, model=self.model, training=self.training)
