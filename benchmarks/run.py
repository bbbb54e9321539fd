"""Run every benchmark and write its table: `make bench`.

Each script says what it claims and writes to benchmarks/results. What is there already is kept, but by speed.py,
study_larger.py and case_operation_graphs.py, which measure anew. All but the first four take long, some of them hours.
What others start from is not made again: the labels of MNIST-1D (measure_mnist1d.py), and the parent networks of the
language model with the losses of all that is left of them (case_transformer.py train, label).
"""
import subprocess, sys
from pathlib import Path

here = Path(__file__).parent
scripts = ['speed.py', 'fidelity.py', 'effects_truth.py', 'effects_planted.py', 'effects_accel.py',
           'study_independent.py', 'study_shift.py', 'study_larger.py', 'study_unlike.py', 'study_equations.py',
           'design.py', 'study_few.py', 'study_few.py --enough', 'searchers.py', 'construction.py', 'order.py',
           'cycles.py', 'mining_truth.py', 'module_truth_labels.py', 'module_truth.py', 'case_operation_graphs.py',
           'case_imagenet.py', 'case_panoptic.py', 'case_unet.py', 'case_transformer.py compare',
           'case_transformer.py mixed', 'case_transformer.py healed', 'comparison.py', 'ablations.py']
for script in scripts:
    name, *options = script.split()
    print(f'== {script}', flush=True)
    subprocess.run([sys.executable, here/name, *options], check=True)
