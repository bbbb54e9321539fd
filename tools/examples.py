"One example per page of the reference; each begins anew, and tests/test_site.py runs them all."

#%% Space
from autobuild import Space

stage = dict(layers=[1,2,3], stage=dict(width=[16,32]), layer=dict(kernel=[3,5]))
space = Space('mine', [stage, stage], network=dict(resolution=[24,32]),
              constraints=['width[1] <= width[2]'])
space.size(), space.sample(2)

#%% Architecture
from autobuild import Space

stage = dict(layers=[1,2], stage=dict(width=[16,32]), layer=dict(kernel=[3,5]))
space = Space('mine', [stage, stage])
arch = space.check('width=16: kernel=3 | width=32: kernel=5, kernel=3')
arch.stages[1]['width'], arch.nodes

#%% Quantity
from autobuild import Quantity, Space

stage = dict(layers=[1,2], stage=dict(width=[16,32]), layer=dict(kernel=[3,5]))
space = Space('mine', [stage, stage])

def weights(layer, before):
    inputs = 3 if before is None else before['width']
    return layer['kernel']**2*inputs*layer['width']

params = Quantity(weights, lambda last: 10*last['width'])
params(space.sample(3))

#%% read_data
from autobuild import Space, read_data

stage = dict(layers=[1,2], stage=dict(width=[16,32]), layer=dict(kernel=[3,5]))
space = Space('mine', [stage, stage])
with open('measured.csv', 'w') as file:
    file.write('architecture,accuracy\n'
               '"width=16: kernel=3 | width=32: kernel=5, kernel=3",0.71\n'
               '"width=32: kernel=5 | width=32: kernel=5",0.78\n')
data = read_data('measured.csv', space)
data.table

#%% LabelledData
import pandas as pd
from autobuild import LabelledData, Space

stage = dict(layers=[1,2], stage=dict(width=[16,32]), layer=dict(kernel=[3,5]))
space = Space('mine', [stage, stage])
table = pd.DataFrame(dict(accuracy=[.71, .78, .69], latency=[1.2, 1.6, 1.0]))
table['architecture'] = ['width=16: kernel=3 | width=32: kernel=5',
                         'width=32: kernel=5 | width=32: kernel=5',
                         'width=16: kernel=5, kernel=5 | width=16: kernel=3']
data = LabelledData.from_frame(space, table)
data.target('accuracy - latency/100')

#%% datasets
from autobuild import datasets

datasets()

#%% load_dataset
from autobuild import load_dataset

data = load_dataset('mnist1d')
train, rest = data.sample(100, seed=0)
len(train), len(rest), data.space.size()

#%% operation_space
from torch import nn, zeros
from autobuild import Architecture, operation_space

def network(width):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 8, 3))

archs = [Architecture.from_torch(network(w), zeros(1, 3, 32, 32)) for w in (8, 16, 32)]
operation_space(archs)

#%% measure
from autobuild import Space, measure

stage = dict(layers=[1,2], stage=dict(width=[16,32]), layer=dict(kernel=[3,5]))
space = Space('mine', [stage, stage])

def train_and_test(arch, seed=0):  # yours trains a network; this one makes its numbers up
    kernels = [row['kernel'] for row in arch.rows]
    return dict(accuracy=.7+.01*len(kernels), latency=sum(kernels))

data = measure(space, space.design(10), train_and_test, 'labels.jsonl')
data.table.head()

#%% AutoBuild
from autobuild import AutoBuild, load_dataset

train, rest = load_dataset('mnist1d').sample(100, seed=0)
ab = AutoBuild('accuracy').fit(train)
ab.evaluate(rest)  # does it rank networks that it has not seen?
ab.effects()       # what does a choice add?
ab.save('model')   # AutoBuild.load('model') reads it
built = ab.construct(5, where='params < 10_000')  # what to build next
built.table

#%% improve
from autobuild import Space, improve

stage = dict(layers=[1,2,3], stage=dict(width=[16,32]), layer=dict(kernel=[3,5,7]))
space = Space('mine', [stage, stage])

def train_and_test(arch):  # yours trains a network; this one makes its numbers up
    widths = [row['width'] for row in arch.rows]
    return dict(accuracy=sum(widths)*arch.rows[0]['kernel']/1000, latency=sum(widths)/10)

best = improve(space, train_and_test, 'labels.jsonl', budget=25, target='accuracy')
best.table.head()

#%% compression_space
from torch import nn, zeros
from autobuild import compression_space

layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, batch_first=True)
model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
space, apply = compression_space(model, zeros(1, 10, 16))  # trained, in earnest
smaller = apply(space.sample(1)[0])
space

#%% replace_one
from torch import nn, rand
from autobuild import compression_space, replace_one

x = rand(8, 10, 16)
layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, batch_first=True)
model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
space, apply = compression_space(model, x)

def closeness(arch):  # in earnest, the accuracy on a test set
    return -(apply(arch)(x)-model(x)).abs().mean().item()

singles = replace_one(space, closeness)
singles.table

#%% plot_effects
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_effects

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_effects(AutoBuild('accuracy').fit(train))

#%% plot_features
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_features

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_features(AutoBuild('accuracy').fit(train))

#%% plot_pairs
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_pairs

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_pairs(AutoBuild('accuracy').fit(train))

#%% plot_explanation
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_explanation

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_explanation(AutoBuild('accuracy').fit(train), rest.archs[0])

#%% plot_architecture
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_architecture

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_architecture(AutoBuild('accuracy').fit(train), rest.archs[0], readout='swap')

#%% plot_predictions
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_predictions

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_predictions(AutoBuild('accuracy').fit(train), rest)

#%% plot_built
import pandas as pd
from autobuild.plots import plot_built

groups = ['labelled', 'labelled', 'built']
table = pd.DataFrame(dict(group=groups, params=[9000, 4000, 7000], accuracy=[.80, .74, .85]))
plot_built(table, budget=8000)

#%% plot_shift
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_shift

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_shift(AutoBuild('accuracy').fit(train), stage=2)

#%% report
from autobuild import AutoBuild, load_dataset
from autobuild.plots import plot_effects, report

train, rest = load_dataset('mnist1d').sample(100, seed=0)
ab = AutoBuild('accuracy').fit(train)
section = ('Effects', 'Learned from 100 labels:', plot_effects(ab), ab.effects().head(10))
report('report.html', 'What matters', [section])

#%% plot_graph
from autobuild import AutoBuild, load_dataset
from autobuild.views import plot_graph

train, rest = load_dataset('mnist1d').sample(100, seed=0)
plot_graph(AutoBuild('accuracy').fit(train), rest.archs[0])

#%% graph_html
from autobuild import AutoBuild, load_dataset
from autobuild.views import graph_html

train, rest = load_dataset('mnist1d').sample(100, seed=0)
graph_html(AutoBuild('accuracy').fit(train), rest.archs[0], 'network.html')

#%% readouts
from autobuild import AutoBuild, load_dataset, readouts

def wary(reading):
    return readouts['both'](reading)-reading.y.std(0)  # less where members differ

readouts['wary'] = wary
train, rest = load_dataset('mnist1d').sample(100, seed=0)
AutoBuild('accuracy', readout='wary').fit(train).modules(stage=1, top=3)

#%% register_dataset
from autobuild import load_dataset, read_data, register_dataset

train, rest = load_dataset('mnist1d').sample(60, seed=0)
train.to_csv('small.csv')

def read(path, variant): return read_data(path, train.space)

register_dataset('small', 'small.csv', read, about='sixty networks')
load_dataset('small')
