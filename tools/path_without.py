"Print PATH without the folders that hold a program (here: nvcc), if torch is a CPU build."
import os, sys
from pathlib import Path

import torch

dirs = os.environ['PATH'].split(os.pathsep)
if torch.version.cuda is None: dirs = [d for d in dirs if not (Path(d)/sys.argv[1]).exists()]
print(os.pathsep.join(dirs))
