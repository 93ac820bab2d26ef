"""`MappedCheckpoint`: a checkpoint in GGUF's terms: tensor names, shapes and metadata, known before a
weight is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from seallm_edge.catalogue.recipes import QuantContext
from seallm_edge.errors import CheckpointError

from ..choosing.choices import UserRecipe, check_importance, choose
from ..choosing.imatrix import Importance
from ..sources.checkpoint import Checkpoint
from ..writing.layout import GgufSpec, TensorSpec
from .architectures import (
    Architecture,
    MappedTensor,
    architecture_metadata,
    architecture_of,
    fitted_to_heads,
    map_tensors,
)
from .chat_template import chat_template
from .hyperparameters import Hyperparameters, read_hyperparameters
from .identity import Identity, file_metadata, general_metadata, identify
from .sampling import sampling_metadata
from .tied_output import output_of
from .tokenizer import read_vocabulary


@dataclass(frozen=True)
class MappedCheckpoint:
    """Checkpoint mapped to GGUF, whatever types it will be stored in; `notes` are for its user to read."""

    architecture: Architecture
    hyperparameters: Hyperparameters
    identity: Identity
    tensors: tuple[MappedTensor, ...]
    sampling: Mapping[str, bytes]
    vocabulary: Mapping[str, bytes]
    notes: tuple[str, ...]

    def content(self, recipe: UserRecipe, importance: Importance | None = None) -> GgufSpec:
        """Contents of the GGUF by this recipe. Raises InvalidOption and ConversionError where the
        recipe does not fit.
        """
        shapes = {item.name: item.source.shape for item in self.tensors}
        if importance:
            importance.check_fits(shapes)
        values = importance.fitting(shapes) if importance else {}
        dimensions = self.hyperparameters.dimensions
        choices = choose(recipe, shapes, QuantContext(dimensions, has_importance=importance is not None))
        check_importance(choices, values if importance else None)
        n_parameters = sum(map(prod, shapes.values()))
        metadata = {
            **general_metadata(self.identity, self.architecture.gguf_name, self.sampling, recipe, n_parameters),
            **architecture_metadata(self.architecture, self.hyperparameters),
            **file_metadata(recipe),
            **self.vocabulary,
            **(importance.metadata() if importance else {}),
        }
        tensors = [TensorSpec(item.name, choices[item.name].type, item.source) for item in self.tensors]
        return GgufSpec(self.identity.name, recipe.name, metadata, tuple(tensors), values, dimensions, self.notes)


def map_checkpoint(checkpoint: Checkpoint) -> MappedCheckpoint:
    """Map a checkpoint to GGUF. Reads no weights, except to compare a tied model's own output matrix.

    Raises CheckpointError, and ConversionError where a disk cannot be read.
    """
    described = architecture_of(checkpoint)
    said = read_hyperparameters(checkpoint, described.qkv_bias)
    architecture, head_notes = fitted_to_heads(described, said.dimensions)
    output = output_of(checkpoint, architecture, said.dimensions.tied)
    dimensions = replace(said.dimensions, tied=output.tied)
    tensors = map_tensors(checkpoint, architecture, dimensions)
    identity = identify(checkpoint)
    vocabulary = read_vocabulary(checkpoint, architecture.pre_tokenizer, dimensions.n_vocab, identity.chat)
    template, template_notes = chat_template(checkpoint, identity.chat, vocabulary.tokens)
    try:
        metadata = vocabulary.metadata(architecture.pre_tokenizer, template)
    except UnicodeEncodeError as error:
        problem = f"its tokenizer holds text that is no Unicode: {error.object!r:.40}"
        raise CheckpointError(checkpoint.folder, problem, "take the tokenizer from the original checkpoint") from error
    sampling, odd_settings = sampling_metadata(checkpoint.generation_config)
    notes = (*checkpoint.notes, *said.notes, *head_notes, *output.notes, *template_notes, *odd_settings)
    hyperparameters = replace(said, dimensions=dimensions)
    return MappedCheckpoint(architecture, hyperparameters, identity, tuple(tensors), sampling, metadata, notes)
