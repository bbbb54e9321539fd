"""The paper's method as a plain PyTorch Geometric loop with its authors' settings: a reference for speed and quality.

Kept as released: 1e-4 for 200 epochs, a ranking loss that does not rank the labels, soft ranks of strength 1, modules
scored alone from their last node. See Mills et al., CVPR 2024.
"""
import numpy as np, torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GATv2Conv, global_mean_pool

from autobuild import Architecture
from autobuild.ranking import soft_rank

class ReferenceNetwork(nn.Module):
    "FE-MLP, 4 GATv2 layers of width 32 with one head, an MLP on the mean of the last one's nodes"
    def __init__(self, encoder, width=32, hops=4):
        super().__init__()
        self.tables = nn.ModuleList(nn.Sequential(nn.Embedding(len(known), 3), nn.Linear(3, 1))
                                    for known in encoder.categories.values())
        self.curves = nn.ModuleList(nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1))
                                    for _ in encoder.continuous)
        sizes = [len(self.tables)+len(self.curves)]+[width]*hops
        self.convs = nn.ModuleList(GATv2Conv(i, o) for i,o in zip(sizes, sizes[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(hops))
        self.regressor = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.register_buffer('label_mean', torch.tensor(0.))
        self.register_buffer('label_std', torch.tensor(1.))

    def forward(self, batch):
        "(node embeddings of hop 0, 1, ...; the standardised prediction y' of every graph)"
        known = [t(batch.codes[:,i]) for i,t in enumerate(self.tables)]
        measured = [c(batch.measured[:,i:i+1]) for i,c in enumerate(self.curves)]
        h = torch.cat(known+measured, 1).abs()
        hops = [h]
        for m,(conv,norm) in enumerate(zip(self.convs, self.norms)):
            out = norm(conv(h, batch.edge_index)).relu()
            h = out+h if m else out
            hops.append(h)
        return hops, self.regressor(global_mean_pool(h, batch.batch))[:,0]

def graphs(archs, encoder):
    "One PyTorch Geometric graph an architecture, edges running from the first layer to the last"
    out = []
    for a in getattr(archs, 'archs', archs):
        codes, values = zip(*encoder.rows(a))
        # `values` would hide a method of Data
        out.append(Data(codes=torch.tensor(codes), measured=torch.tensor(values), num_nodes=len(codes),
                        edge_index=torch.tensor(a.edges, dtype=torch.long).reshape(-1, 2).T.contiguous()))
    return out

def graph_norms(hops, batch):
    "(hops+1, graphs) L1 norms of the mean node embedding"
    return torch.stack([global_mean_pool(h, batch.batch).abs().sum(1) for h in hops])

def correlation(a, b):
    "Pearson's correlation along the last dimension"
    a, b = a-a.mean(-1, keepdim=True), b-b.mean(-1, keepdim=True)
    return (a*b).sum(-1)/(a.norm(dim=-1)*b.norm(dim=-1)+1e-12)

def train_reference(encoder, graphs, y, epochs=200, lr=1e-4, weight_decay=1e-5, batch=128, clip=5, seed=0,
                    each_epoch=None):
    "A new network, trained as released; `each_epoch(net, epoch)` is called after every epoch"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ReferenceNetwork(encoder)
    y = torch.as_tensor(y, dtype=torch.float32)
    net.label_mean, net.label_std = y.mean(), y.std(correction=0)
    pairs = list(zip(graphs, (y-net.label_mean)/net.label_std))
    loader = DataLoader(pairs, batch, shuffle=True, generator=torch.Generator().manual_seed(seed))
    opt = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    for epoch in range(1, epochs+1):
        net.train()
        for part,labels in loader:
            hops, predictions = net(part)
            rho = correlation(soft_rank(graph_norms(hops, part), 1.), labels)
            loss = ((predictions-labels)**2).mean()+(1-rho).mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), clip)
            opt.step()
        if each_epoch: each_epoch(net, epoch)
    return net.eval()

@torch.no_grad()
def reference_predict(net, graphs, batch=1024):
    "Predictions in label units"
    net.eval()
    return (torch.cat([net(part)[1] for part in DataLoader(graphs, batch)])*net.label_std+net.label_mean).numpy()

@torch.no_grad()
def reference_hop_norms(net, graphs, batch=1024):
    "(hops+1, n) graph norms"
    net.eval()
    return torch.cat([graph_norms(net(part)[0], part) for part in DataLoader(graphs, batch)], 1).numpy()

@torch.no_grad()
def reference_shift(net, encoder, archs, labels):
    "What equation 9 needs of the training set: (mean, std) of node norms a hop, of labels a (stage, layer count)"
    net.eval()
    parts = [[h.abs().sum(1) for h in net(part)[0]] for part in DataLoader(graphs(archs, encoder), 1024)]
    norms = torch.stack([torch.cat(o) for o in zip(*parts)])
    counts, by = np.array([[len(s['layers']) for s in a.stages] for a in archs]), {None: (labels.mean(), labels.std())}
    for u in range(counts.shape[1]):
        for l in np.unique(counts[:,u]): by[u+1, int(l)] = labels[counts[:,u]==l].mean(), labels[counts[:,u]==l].std()
    return norms.mean(1), norms.std(1, correction=0), by

def alone(u, config, **network):
    "A stage candidate as a graph of its own, its node features those of stage `u`"
    return Architecture([dict(layers=[])]*(u-1)+[config], **network)

def shifted(norms, shift, module):
    "Equation 9 from the last node's norms of every hop: standardised, then put on the labels of (stage, layer count)"
    u, l = len(module.stages), len(module.stages[-1]['layers'])
    mean, std, labels = shift
    hop, (y_mean, y_std) = min(l, len(mean))-1, labels.get((u, l), labels[None])
    return float((norms[hop]-mean[hop])/(std[hop]+1e-12))*y_std+y_mean

@torch.no_grad()
def reference_module_scores(net, encoder, shift, modules, batch=1024):
    "The paper's score of stand-alone stage candidates made by `alone`: the last node's norm at hop L-1, shifted"
    net.eval()
    last = []
    for part in DataLoader(graphs(modules, encoder), batch):
        last.append(torch.stack([h[part.ptr[1:]-1].abs().sum(1) for h in net(part)[0]], 1))
    return np.array([shifted(norms, shift, module) for norms,module in zip(torch.cat(last), modules)])

@torch.no_grad()
def reference_module_score_one_at_a_time(net, encoder, shift, module):
    "The same score of one candidate, run by itself as in the released code"
    net.eval()
    part = next(iter(DataLoader(graphs([module], encoder), 1)))
    return shifted([h[-1].abs().sum() for h in net(part)[0]], shift, module)

def reference_score_archs(net, encoder, train_archs, y_train, archs):
    "The sum of every network's module scores; for cells the paper has no read-out"
    shift = reference_shift(net, encoder, train_archs, y_train)
    parts = [[alone(u, stage, **arch.network) for u,stage in enumerate(arch.stages, 1) if stage['layers']]
             for arch in archs]
    unique = list(dict.fromkeys(module for modules in parts for module in modules))
    scores = dict(zip(unique, reference_module_scores(net, encoder, shift, unique)))
    total, labels = np.array([sum(scores[module] for module in modules) for modules in parts]), shift[2]
    # A stage without layers has no nodes to read: it counts the mean label of training networks without it (z = 0)
    return total+[sum(labels.get((u, 0), labels[None])[0] for u,stage in enumerate(arch.stages, 1)
                      if not stage['layers']) for arch in archs]
