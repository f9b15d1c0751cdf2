"""The fully connected ends of the network: prediction, reconstruction, and conversion to labels' scale."""

import torch
from torch import Tensor, nn

from vavl.config import VavlConfig


class Head(nn.Module):
    """Two hidden layers and a linear output (paper §4.3).

    Args:
        inputs: Width of the pooled embedding.
        outputs: Width of the output.
        hidden: Widths of the hidden layers.
        dropout: Dropout probability.
        activate_last: Apply ReLU and dropout after the second hidden layer, as the paper says; the released code
            does not (D8).
    """

    def __init__(self, inputs: int, outputs: int, hidden: tuple[int, int], dropout: float, activate_last: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(inputs, hidden[0]), nn.ReLU())
        middle: list[nn.Module] = [nn.Linear(hidden[0], hidden[1])]
        if activate_last:
            middle += [nn.ReLU(), nn.Dropout(dropout)]
        self.rest = nn.Sequential(nn.Dropout(dropout), *middle, nn.Linear(hidden[1], outputs))

    @property
    def output(self) -> nn.Linear:
        """The last layer."""
        layer = self.rest[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs) to (B, outputs)."""
        return self.rest(self.first(x))


class FeatureNormalizer(nn.Module):
    """Z-normalises each feature with training-set statistics (D13); the identity until they are set."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise features (B, T, F)."""
        return (x - self.mean) / (self.std + 1e-6)


class Discriminants(nn.Module):
    """Linear discriminant analysis as a layer: projection to the best directions, and log likelihoods of the classes.

    Until it is fitted, the directions are arbitrary and the likelihoods equal. In training, each clip is shifted by
    noise as large as the within-class deviation, which keeps the following layers from overfitting.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.dim = classes - 1
        self.register_buffer("directions", torch.eye(self.dim, width))
        self.register_buffer("offset", torch.zeros(self.dim))
        self.register_buffer("class_weight", torch.zeros(classes, self.dim))
        self.register_buffer("class_bias", torch.zeros(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Project features (B, T, F) to (B, T, C - 1)."""
        projected = x @ self.directions.T + self.offset
        return projected + torch.randn_like(projected[:, :1]) if self.training else projected

    def log_likelihood(self, pooled: Tensor) -> Tensor:
        """Log likelihood of each class (B, C), up to a constant, from projections averaged over time (B, C - 1)."""
        return pooled @ self.class_weight.T + self.class_bias


class Presentation(nn.Module):
    """Converts the network's output to results, inside the graph.

    Classes become probabilities. Attributes become scores on the annotation scale (D19), and flipped attributes are
    inverted back (D3). Scores are not clamped to the scale.
    """

    def __init__(self, config: VavlConfig) -> None:
        super().__init__()
        self.task = config.task
        low, high = config.scale
        gain = [low - high if name in config.flipped else high - low for name in config.labels]
        offset = [high if name in config.flipped else low for name in config.labels]
        self.register_buffer("gain", torch.tensor(gain), persistent=False)
        self.register_buffer("offset", torch.tensor(offset), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        """Map network outputs (B, C) to probabilities or scores (B, C)."""
        if self.task == "classification":
            return torch.softmax(logits, dim=-1)
        return logits * self.gain + self.offset
