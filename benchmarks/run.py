"""Run every benchmark and write its table: `make bench`.

Each script says what it claims and writes to benchmarks/results; all but speed.py resume. All but the first
four take an hour or more.
"""
import subprocess, sys
from pathlib import Path

here = Path(__file__).parent
scripts = ['speed.py', 'fidelity.py', 'effects_truth.py', 'effects_planted.py', 'effects_accel.py',
           'study_independent.py', 'study_shift.py', 'study_larger.py', 'design.py', 'study_few.py', 'searchers.py',
           'construction.py', 'cycles.py', 'mining_truth.py', 'module_truth_labels.py', 'module_truth.py',
           'case_imagenet.py', 'case_panoptic.py', 'case_unet.py', 'comparison.py', 'ablations.py']
for script in scripts:
    print(f'== {script}', flush=True)
    subprocess.run([sys.executable, here/script], check=True)
