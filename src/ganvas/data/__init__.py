"""Pictures in, uint8 batches out. The loader, which needs torch, is `ganvas.data.loader`."""

from .config import DataConfig as DataConfig
from .decoding import Problem as Problem
from .pack import Pack as Pack
from .pack import cache_folder as cache_folder
from .pack import find_pack as find_pack
from .pack import open_pack as open_pack
