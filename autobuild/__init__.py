"AutoBuild: which parts of a network matter, and what to build next"
__version__ = "0.1.0"

from .datasets import datasets, load_dataset
from .data import LabelledData, Quantity, read_data
from .estimator import AutoBuild
from . import fronts, onnx_files # give AutoBuild.construct_front and Architecture.from_onnx
from .graph_spaces import operation_space
from .spaces import Architecture, Space
