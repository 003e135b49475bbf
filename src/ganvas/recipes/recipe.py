"""What a recipe is."""

from dataclasses import dataclass

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

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return RunConfig(name=self.name, model=self.model, training=self.training)
