#| export
import contextlib, shutil, sys, textwrap, warnings
from pathlib import Path

import matplotlib.pyplot as plt, numpy as np, pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from autobuild.data import LabelledData
from autobuild.datasets import load_dataset
from autobuild.estimator import AutoBuild, AutoBuildWarning
from autobuild.mnist1d import curves, train
from autobuild.plots import feature_table, plot_architecture, plot_built, plot_features, plot_shift, report
from autobuild.spaces import Architecture
#| export
def noise_ceiling(
    data:LabelledData, # With accuracy, accuracy_seed1, accuracy_seed2
) -> tuple: # (Spearman, how many networks it comes from)
    "Mean rank correlation between the accuracies of two seeds"
    seeds = data.table[['accuracy', 'accuracy_seed1', 'accuracy_seed2']].dropna()
    rho = seeds.corr('spearman').to_numpy()
    return float(rho[np.triu_indices(3, 1)].mean()), len(seeds)
#| export
def hop_table(
    ab:AutoBuild, # Fitted
    rest:LabelledData, # Networks that it has not seen
    ceiling:float, # What `noise_ceiling` gives
) -> pd.DataFrame: # A row for the prediction and for each hop
    "Rank correlations on held-out labels and on unseen networks, beside the noise ceiling"
    return pd.DataFrame({'held out': ab.heldout, f'on the other {len(rest)}': ab.evaluate(rest).spearman, 'noise ceiling': ceiling})
#| export
def extremes(
    ab:AutoBuild, # Fitted
    n:int=3, # How many from each end
) -> tuple: # (choices, modules): two DataFrames
    "The choices and each stage's modules with the highest and the lowest scores"
    choices = feature_table(ab).query("feature not in ('stage', 'layer')").sort_values('score', ascending=False)
    choices = pd.concat([choices.head(n), choices.tail(n)])[['feature', 'choice', 'score', 'spread', 'profile']]
    modules = [ab.modules(u, top=k) for u in range(1, len(ab.space.stages)+1) for k in (n, -n)]
    return choices.reset_index(drop=True), pd.concat(modules, ignore_index=True)
#| export
def random_within(
    data:LabelledData, # Names the space, and the quantity params
    budget:int, # The most parameters
    n:int, # How many networks
    seed:int, # Fixes the draw
) -> list: # `n` architectures
    "Random networks of the space that keep the budget"
    for factor in (10, 100, 1000):
        archs = data.space.sample(factor*n, seed)
        archs = [a for a,p in zip(archs, data.quantities['params'](archs)) if p<=budget]
        if len(archs)>=n: return archs[:n]
    raise ValueError(f"only {len(archs)} of {1000*n} random networks have at most {budget} parameters; {n} are wanted")
#| export
def _training(trainer, arch, seed, i, j): return i, j, trainer(arch, seed)

def train_all(
    archs:list, # Architectures
    seeds:list, # Train each once with every seed
    trainer=train, # Function of an architecture and a seed that gives an accuracy
    progress:bool=True, # Show a progress bar
) -> np.ndarray: # (architectures, seeds)
    "Accuracies of all trainings"
    jobs = [delayed(_training)(trainer, a, s, i, j) for i,a in enumerate(archs) for j,s in enumerate(seeds)]
    out = np.full((len(archs), len(seeds)), np.nan)
    done = Parallel(n_jobs=-1, return_as='generator_unordered')(jobs)
    for i,j,accuracy in tqdm(done, total=len(jobs), desc='train', disable=not progress): out[i,j] = accuracy
    return out
#| export
def candidates(
    ab:AutoBuild, # Fitted
    labelled:LabelledData, # What it has learned from
    budget:int, # The most parameters
    n:int, # How many to build, and how many to draw
    seed:int, # Fixes the draw
) -> pd.DataFrame: # group, arch, params, predicted
    "The built networks, as many random ones, and the best labelled one, all within the budget"
    within = labelled[labelled.table.params.to_numpy()<=budget]
    groups = {'built': ab.construct(n, where=f'params <= {budget:.0f}').archs, 'random': random_within(labelled, budget, n, seed+1),
              'labelled best': [within.archs[int(within.table.accuracy.argmax())]]}
    archs = [a for o in groups.values() for a in o]
    return pd.DataFrame(dict(group=[k for k,o in groups.items() for _ in o], arch=archs, params=labelled.quantities['params'](archs).astype(int), predicted=ab.predict(archs)))
#| export
def trained_table(
    table:pd.DataFrame, # What `candidates` gives
    accuracies:np.ndarray, # (rows, seeds), what `train_all` gives
) -> pd.DataFrame: # group, architecture, params, predicted, accuracy, spread, and a column a training
    "Every trained network: the mean accuracy over seeds, its standard deviation, each training"
    each = {f'training{j}': o for j,o in enumerate(accuracies.T, 1)}
    return table.drop(columns='arch').assign(accuracy=accuracies.mean(1), spread=accuracies.std(1, ddof=1), **each, architecture=[str(a) for a in table.arch])

def comparison(
    trained:pd.DataFrame, # What `trained_table` gives
    within:pd.DataFrame, # The table of the labelled networks that keep the budget
) -> pd.DataFrame: # group, networks, mean, best, spread, params
    "One row a group: accuracies (a network's is its mean over seeds), the mean spread over seeds, mean parameters"
    def row(group, t): return dict(group=group, networks=len(t), mean=t.accuracy.mean(), best=t.accuracy.max(), spread=t.spread.mean() if 'spread' in t else np.nan, params=round(t.params.mean()))
    by = {k: g for k,g in trained.groupby('group')}
    best = within.nlargest(1, 'accuracy')
    return pd.DataFrame([row('built', by['built']), row('random', by['random']), row('labelled, as labelled', within),
                         row('labelled best, as labelled', best), row('labelled best, trained again', by['labelled best'])])
#| export
def _gap(a:str, b:str, gap:float, noise:float) -> str:
    "How two accuracies compare"
    if abs(gap)<=noise: return f"{a} is level with {b} ({gap:+.3f}, within the noise of {noise:.3f})."
    return f"{a} {'beats' if gap>0 else 'is worse than'} {b} ({gap:+.3f}, more than the noise of {noise:.3f})."

def _error(x, y) -> float:
    "Twice the standard error of a difference of means"
    return 2*np.sqrt(x.var(ddof=1)/len(x)+y.var(ddof=1)/len(y))

def verdict(
    trained:pd.DataFrame, # What `trained_table` gives
    within:pd.DataFrame, # The table of the labelled networks that keep the budget
) -> list: # Sentences
    "What the trainings show, warnings included"
    built, drawn, best = (trained[trained.group==k] for k in ('built', 'random', 'labelled best'))
    top, rival, seeds = built.accuracy.max(), best.accuracy.iloc[0], sum(k.startswith('training') for k in trained)
    noise = 2*np.sqrt((trained.spread[trained.group!='random']**2).mean()*2/seeds)
    out = [_gap('The mean of the built', 'the mean of the labelled within the budget', built.accuracy.mean()-within.accuracy.mean(), _error(built.accuracy, within.accuracy)),
           _gap('The mean of the built', 'the mean of the random', built.accuracy.mean()-drawn.accuracy.mean(), _error(built.accuracy, drawn.accuracy)),
           _gap('The best built network', 'the labelled best trained again', top-rival, noise),
           f"{(built.accuracy>rival).sum()} of {len(built)} built networks are ahead of the labelled best."]
    if built.accuracy.mean()<drawn.accuracy.mean():
        out.append("Warning: the built networks are worse than random ones, so these module scores should not be trusted. Label more networks, and look at the rank correlation of each hop.")
    return out
#| export
@contextlib.contextmanager
def plain_warnings():
    "AutoBuild's warnings as notes in plain words, without the place in the code"
    def show(message, category, *args, **kw):
        if not issubclass(category, AutoBuildWarning): return usual(message, category, *args, **kw)
        print(f'Note: {message}', file=sys.stderr)
    with warnings.catch_warnings():
        warnings.simplefilter('always', AutoBuildWarning)
        usual, warnings.showwarning = warnings.showwarning, show
        yield

def _say(text:str, hang:int=0):
    "Print a paragraph at the terminal's width"
    print('\n'*text.startswith('\n')+textwrap.fill(text.strip(), min(shutil.get_terminal_size().columns, 110), subsequent_indent=' '*hang))

def _show(title:str, table:pd.DataFrame, digits:int=3):
    "Print a table below its title"
    index = not isinstance(table.index, pd.RangeIndex)
    print(f"\n{title}\n{table.to_string(index=index, float_format=f'%.{digits}f', na_rep='')}")

def _short(module:str) -> str:
    "A module without the names of its layers' features, which are the same in every line"
    s = Architecture.parse(module).stages[0]
    own = ' '.join(f'{k}={v}' for k,v in s.items() if k not in ('layers', 'edges'))
    return own+'  '+'  '.join('/'.join(map(str, l.values())) for l in s['layers']) if s['layers'] else 'left out'

def _show_extremes(ab:AutoBuild, choices:pd.DataFrame, modules:pd.DataFrame):
    "Print the most and the least important choices and modules"
    _show("Most and least important choices (score in s.d. of node norms; profile: what the labels alone say)", choices)
    names = '/'.join(ab.space.stages[0].layer)
    print(f"\nThe best and the worst modules of each stage (score in units of accuracy; a layer is {names})")
    for r in modules.itertuples(): print(f"stage {r.stage}  {r.score:.3f} ± {r.spread:.3f}  {_short(r.module)}")

def _pictures(folder:Path, ab:AutoBuild, arch, networks:pd.DataFrame, budget:int) -> dict:
    "Draw and save the four pictures"
    figures = dict(architecture=plot_architecture(ab, arch), features=plot_features(ab)[0], shift=plot_shift(ab)[0], built=plot_built(networks, budget=budget))
    figures = {k: ax.figure for k,ax in figures.items()}
    for k,fig in figures.items():
        fig.savefig(folder/f'{k}.png', dpi=150, facecolor='white')
        plt.close(fig)
    return figures

def _explain(ab:AutoBuild, data:LabelledData, rest:LabelledData) -> dict:
    "Print how far the fit can be trusted and what it found important; the tables"
    ceiling, n = noise_ceiling(data)
    hops, (choices, modules) = hop_table(ab, rest, ceiling), extremes(ab)
    _show(f"Rank correlation with the measured accuracy (noise ceiling: seed to seed, {n} networks)", hops)
    _show_extremes(ab, choices, modules)
    return dict(hops=hops, choices=choices, modules=modules, notes=ab.diagnose() or ['Nothing looks wrong.'])

def _compare(trained:pd.DataFrame, within:pd.DataFrame) -> dict:
    "Print the comparison and the verdict; both"
    table, sentences = comparison(trained, within), verdict(trained, within)
    _show("Accuracy on 10,000 fresh curves, within the budget", table)
    print()
    for o in sentences: _say(o)
    return dict(table=table, sentences=sentences)

def _tidy(table:pd.DataFrame) -> pd.DataFrame:
    "Three digits, and long texts last"
    return table.round(3)[sorted(table, key=lambda k: k in ('module', 'architecture'))]

def _sections(asked:str, found:dict, result:dict, trained:pd.DataFrame, pictures:dict) -> list:
    "What the report says"
    return [('The question', asked),
            ('The answer', *result['sentences'], _tidy(result['table']), pictures['built']),
            ('The network that was built first', "Colour is the importance of each layer together with the layer before it.", trained.architecture[0], pictures['architecture']),
            ('How far to trust it', "Rank correlation between the measured accuracy and the prediction (y'), and between the accuracy and the norm at each hop. The noise ceiling is the rank correlation between two trainings of the same networks.",
             _tidy(found['hops']), *found['notes']),
            ('Which choices matter', _tidy(found['choices']), pictures['features']),
            ('Which modules matter', "The best and the worst of each stage.", _tidy(found['modules']),
             "The paper reads a module from the norm of its last node. Before the distribution shift, modules of different size cannot be compared.", pictures['shift']),
            ('Every training', _tidy(trained))]

def run_demo(
    folder:str='demo', # Where the pictures, the table and the report are written
    labels:int=100, # How many measured networks to learn from
    build:int=5, # How many networks to build, and how many random ones to train beside them
    seed:int=0, # Fixes everything that is drawn
    seeds:int=3, # Trainings of each network, at least 2
    ensemble:int=5, # Networks of the estimator
    trainer=train, # Function of an architecture and a seed that gives an accuracy
    progress:bool=True, # Show progress bars
) -> pd.DataFrame: # The comparison, one row a group
    "Learn from measured networks, build new ones under a budget, train them, and compare"
    if seeds<2 or build<2: raise ValueError(f"seeds={seeds}, build={build}: both are at least 2, since one training or one network says nothing about the noise")
    curves()
    folder, data = Path(folder), load_dataset('mnist1d')
    folder.mkdir(parents=True, exist_ok=True)
    labelled, rest = data.sample(labels, seed)
    budget = int(labelled.table.params.median())
    asked = f"Which network of at most {budget:,} parameters is best? {labels} of {len(data)} measured networks are known; the budget is their median."
    _say(asked)
    with plain_warnings():
        ab = AutoBuild(target='accuracy', ensemble=ensemble, seed=seed).fit(labelled, progress=progress)
        found, table = _explain(ab, data, rest), candidates(ab, labelled, budget, build, seed)
    _say(f"\nTraining {build} built networks, {build} random ones and the labelled best, {seeds} times each.")
    trained = trained_table(table, train_all(table.arch, range(10, 10+seeds), trainer, progress))
    result = _compare(trained, labelled.table[labelled.table.params<=budget])
    pictures = _pictures(folder, ab, table.arch[0], pd.concat([labelled.table.assign(group='labelled'), trained]), budget)
    trained.to_csv(folder/'results.csv', index=False, float_format='%.5g')
    report(folder/'report.html', 'AutoBuild on MNIST-1D', _sections(asked, found, result, trained, pictures))
    print(f"\nWritten: {folder}/report.html, results.csv, {', '.join(f'{k}.png' for k in pictures)}")
    return result['table']