"""ONNX graphs of a Llama-style decoder, built node by node.

The graphs share one set of weights (same initializer names, one external data file):

append graph    the past is read where it lies and only the new rows come out
append scorer   the same with a reward model's two logits at every token
merged graph    the layout of transformers.js: the whole present comes out

Both attend over a past that may be padded at its end, so sequences of different length share a
batch. All tensors are float32, all index tensors int64.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
MASKED = -1e30  # exp(MASKED - max) is exactly 0, and unlike -inf it never makes a NaN


class DecoderGraph:
    """Collects the nodes of one decoder graph. `weights` are added by name on first use."""

    def __init__(self, config, weights):
        self.config = config
        self.weights = weights
        self.nodes = []
        self.initializers = {}
        self.count = 0

    def node(self, op, inputs, outputs=1, name=None, **attributes):
        """Adds a node; gives the name of its output, or a list of names where it has several."""
        self.count += 1
        names = [name] if name else [f"{op}_{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, f"n{self.count}", **attributes))
        return names[0] if len(names) == 1 else names

    def const(self, values, dtype=np.int64):
        array = np.asarray(values, dtype=dtype)
        name = f"c_{dtype.__name__}_{'_'.join(map(str, array.ravel().tolist()))}_{array.ndim}"
        self.initializers[name] = array
        return name

    def weight(self, name):
        self.initializers[name] = self.weights[name]
        return name

    def reshape(self, x, shape):
        return self.node("Reshape", [x, self.const(shape)])

    def split(self, x, sizes, axis=-1):
        return self.node("Split", [x, self.const(sizes)], len(sizes), axis=axis)

    def rms_norm(self, x, weight):
        square = self.node("Pow", [x, self.const(2.0, np.float32)])
        mean = self.node("ReduceMean", [square, self.const([-1])], keepdims=1)
        shifted = self.node("Add", [mean, self.const(self.config.rms_norm_eps, np.float32)])
        normed = self.node("Div", [x, self.node("Sqrt", [shifted])])
        return self.node("Mul", [normed, self.weight(weight)])

    def linear(self, x, name):
        y = self.node("MatMul", [x, self.weight(f"{name}.weight")])
        bias = f"{name}.bias"
        return self.node("Add", [y, self.weight(bias)]) if bias in self.weights else y

    def rotary_tables(self, position_ids):
        """cos and sin of shape [batch, tokens, 1, head_dim / 2]."""
        positions = self.node("Cast", [position_ids], to=TensorProto.FLOAT)
        positions = self.node("Unsqueeze", [positions, self.const([2, 3])])
        angles = self.node("Mul", [positions, self.weight("rotary.inv_freq")])
        return self.node("Cos", [angles]), self.node("Sin", [angles])

    def rotate(self, x, tables):
        """Rotary embedding in Llama's half-split layout; x is [batch, tokens, heads, head_dim]."""
        cos, sin = tables
        half = self.config.head_dim // 2
        a, b = self.split(x, [half, half])
        first = self.node("Sub", [self.node("Mul", [a, cos]), self.node("Mul", [b, sin])])
        second = self.node("Add", [self.node("Mul", [b, cos]), self.node("Mul", [a, sin])])
        return self.node("Concat", [first, second], axis=-1)

    def query_key_value(self, x, layer, tables):
        """q [batch, kv_heads, group * tokens, head_dim]; k and v [batch, kv_heads, tokens, head_dim]."""
        c = self.config
        heads, kv_heads, dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        qkv = self.linear(x, f"layers.{layer}.qkv")
        qk, v = self.split(qkv, [(heads + kv_heads) * dim, kv_heads * dim])
        qk = self.rotate(self.reshape(qk, [0, 0, heads + kv_heads, dim]), tables)
        q, k = self.split(qk, [heads, kv_heads], axis=2)
        q = self.node("Mul", [q, self.const(dim**-0.5, np.float32)])
        group = heads // kv_heads
        if group == 1:
            q = self.node("Transpose", [q], perm=[0, 2, 1, 3])
        else:
            q = self.node("Transpose", [self.reshape(q, [0, 0, kv_heads, group, dim])], perm=[0, 2, 3, 1, 4])
            q = self.reshape(q, [0, kv_heads, -1, dim])
        k = self.node("Transpose", [k], perm=[0, 2, 1, 3])
        v = self.node("Transpose", [self.reshape(v, [0, 0, kv_heads, dim])], perm=[0, 2, 1, 3])
        return q, k, v

    def masked_softmax(self, scores, mask):
        """scores [batch, kv_heads, group * tokens, width], mask [batch, 1, tokens, width]."""
        group = self.config.num_attention_heads // self.config.num_key_value_heads
        if group == 1:
            return self.node("Softmax", [self.node("Add", [scores, mask])], axis=-1)
        shape = self.node("Shape", [scores])
        kv_heads = self.config.num_key_value_heads
        width = self.node("Shape", [mask], start=3)
        grouped = self.node("Concat", [self.const([0, kv_heads, group, -1]), width], axis=0)
        spread = self.node("Add", [self.node("Reshape", [scores, grouped]), self.node("Unsqueeze", [mask, self.const([2])])])
        return self.node("Softmax", [self.node("Reshape", [spread, shape])], axis=-1)

    def merge_heads(self, x, tokens_shape):
        """[batch, kv_heads, group * tokens, head_dim] to [batch, tokens, heads * head_dim]."""
        c = self.config
        group = c.num_attention_heads // c.num_key_value_heads
        if group == 1:
            x = self.node("Transpose", [x], perm=[0, 2, 1, 3])
        else:
            split_shape = self.node("Concat", [self.const([0, c.num_key_value_heads, group]), tokens_shape, self.const([c.head_dim])], axis=0)
            x = self.node("Transpose", [self.node("Reshape", [x, split_shape])], perm=[0, 3, 1, 2, 4])
        return self.reshape(x, [0, 0, c.num_attention_heads * c.head_dim])

    def feed_forward(self, x, layer):
        gate_up = self.linear(x, f"layers.{layer}.gate_up")
        size = self.config.intermediate_size
        gate, up = self.split(gate_up, [size, size])
        active = self.node("Mul", [gate, self.node("Sigmoid", [gate])])
        return self.linear(self.node("Mul", [active, up]), f"layers.{layer}.down")

    def model(self, name, inputs, outputs):
        tensors = [numpy_helper.from_array(array, key) for key, array in self.initializers.items()]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9, producer_name="steptree")


def append_decoder(config, weights):
    """The append-only graph. Inputs: inputs_embeds [batch, tokens, hidden], past_length [batch]
    (valid rows of each past), logits_positions [batch, rows] (token indices whose logits are
    wanted), past_key_values.N.key|value [batch, kv_heads, past, head_dim]. Outputs: logits
    [batch, rows, vocab], new_keys and new_values [layers, batch, kv_heads, tokens, head_dim].
    Token t of a sequence stands at position past_length + t and sees the valid past and the
    tokens up to itself."""
    g = DecoderGraph(config, weights)
    hidden, keys, values = append_layers(g)
    index = g.node("Unsqueeze", ["logits_positions", g.const([2])])
    chosen = g.node("GatherND", [hidden, index], batch_dims=1)
    g.node("MatMul", [g.rms_norm(chosen, "norm.weight"), g.weight("lm_head.weight")], name="logits")
    positions = value("logits_positions", ["batch", "rows"], TensorProto.INT64)
    return append_model(g, "decoder_append", keys, values, [positions], ["batch", "rows", config.vocab_size])


def append_scorer(config, weights):
    """The append graph of a reward model: the two logits (Yes, No) of `score_head.weight` [hidden, 2]
    at every token. Inputs: inputs_embeds, past_length and past_key_values as in the append graph.
    Outputs: logits [batch, tokens, 2], new_keys and new_values."""
    g = DecoderGraph(config, weights)
    hidden, keys, values = append_layers(g)
    g.node("MatMul", [g.rms_norm(hidden, "norm.weight"), g.weight("score_head.weight")], name="logits")
    return append_model(g, "scorer_append", keys, values, [], ["batch", "tokens", 2])


def append_layers(g):
    """The residual stack over a padded past; last hidden states and every layer's new keys and values."""
    tokens = g.node("Shape", ["inputs_embeds"], start=1, end=2)
    steps = arange(g, tokens)
    past_length = g.node("Unsqueeze", ["past_length", g.const([1])])
    tables = g.rotary_tables(g.node("Add", [past_length, steps]))
    past = g.node("Shape", ["past_key_values.0.key"], start=2, end=3)
    valid = g.node("Less", [arange(g, past), past_length])
    past_mask = g.node("Unsqueeze", [additive(g, valid), g.const([1, 2])])
    causal = g.node("Unsqueeze", [additive(g, causal_pairs(g, steps)), g.const([0, 1])])
    rows = g.node("Unsqueeze", ["past_length", g.const([1, 2, 3])])
    zeros = g.node("Mul", [g.node("Cast", [rows], to=TensorProto.FLOAT), g.const(0.0, np.float32)])
    new_mask = g.node("Add", [zeros, causal])
    spread = g.node("Concat", [g.const([1, 1]), tokens, g.const([1])], axis=0)
    mask = g.node("Concat", [g.node("Expand", [past_mask, spread]), new_mask], axis=-1)
    widths = g.node("Concat", [past, tokens], axis=0)

    def attention(q, k, v, layer):
        past_k, past_v = (f"past_key_values.{layer}.{kind}" for kind in ("key", "value"))
        scores = [g.node("MatMul", [q, g.node("Transpose", [key], perm=[0, 1, 3, 2])]) for key in (past_k, k)]
        shares = g.masked_softmax(g.node("Concat", scores, axis=-1), mask)
        old, new = g.node("Split", [shares, widths], 2, axis=-1)
        return g.node("Add", [g.node("MatMul", [old, past_v]), g.node("MatMul", [new, v])])

    return run_layers(g, tables, tokens, attention)


def append_model(g, name, keys, values, more_inputs, logits_shape):
    """The finished graph; `new_keys` and `new_values` are stacked over layers."""
    c = g.config
    for output, parts in (("new_keys", keys), ("new_values", values)):
        g.node("Concat", [g.node("Unsqueeze", [part, g.const([0])]) for part in parts], name=output, axis=0)
    new_shape = [c.num_hidden_layers, "batch", c.num_key_value_heads, "tokens", c.head_dim]
    inputs = [
        value("inputs_embeds", ["batch", "tokens", c.hidden_size]),
        value("past_length", ["batch"], TensorProto.INT64),
        *more_inputs,
        *past_values(c),
    ]
    outputs = [value("logits", logits_shape), value("new_keys", new_shape), value("new_values", new_shape)]
    return g.model(name, inputs, outputs)


def step_decoder(config, weights):
    """The append graph for one token per sequence, without what only longer inputs need: a token's
    attention to itself is a product and a sum instead of many 1x1 matrix products. Inputs:
    inputs_embeds [batch, 1, hidden], past_length and past_key_values as in the append graph.
    Outputs: logits [batch, 1, vocab], new_keys and new_values [layers, batch, kv_heads, 1,
    head_dim]."""
    c = config
    g = DecoderGraph(config, weights)
    tables = step_tables(g)
    past = g.node("Shape", ["past_key_values.0.key"], start=2, end=3)
    length = g.node("Unsqueeze", ["past_length", g.const([1])])
    columns = arange(g, g.node("Add", [past, g.const([1])]))
    # The last column is the new token itself.
    seen = g.node("Or", [g.node("Less", [columns, length]), g.node("Equal", [columns, past])])
    mask = g.node("Unsqueeze", [additive(g, seen), g.const([1, 2])])
    widths = g.node("Concat", [past, g.const([1])], axis=0)
    group = c.num_attention_heads // c.num_key_value_heads
    x, keys, values = g.reshape("inputs_embeds", [-1, c.hidden_size]), [], []
    for layer in range(c.num_hidden_layers):
        qkv = g.linear(g.rms_norm(x, f"layers.{layer}.input_norm.weight"), f"layers.{layer}.qkv")
        q, k, v = step_heads(g, qkv, tables)
        keys.append(g.reshape(k, [1, -1, c.num_key_value_heads, 1, c.head_dim]))
        values.append(g.reshape(v, [1, -1, c.num_key_value_heads, 1, c.head_dim]))
        q = g.reshape(q, [-1, c.num_key_value_heads, group, c.head_dim])
        k = g.reshape(k, [-1, c.num_key_value_heads, 1, c.head_dim])
        v = g.reshape(v, [-1, c.num_key_value_heads, 1, c.head_dim])
        past_k, past_v = (f"past_key_values.{layer}.{kind}" for kind in ("key", "value"))
        old = g.node("MatMul", [q, g.node("Transpose", [past_k], perm=[0, 1, 3, 2])])
        new = g.node("ReduceSum", [g.node("Mul", [q, k]), g.const([-1])], keepdims=1)
        scores = g.node("Add", [g.node("Concat", [old, new], axis=-1), mask])
        old, new = g.node("Split", [g.node("Softmax", [scores], axis=-1), widths], 2, axis=-1)
        mixed = g.node("Add", [g.node("MatMul", [old, past_v]), g.node("Mul", [new, v])])
        mixed = g.reshape(mixed, [-1, c.num_attention_heads * c.head_dim])
        x = g.node("Add", [x, g.linear(mixed, f"layers.{layer}.o")])
        x = g.node("Add", [x, g.feed_forward(g.rms_norm(x, f"layers.{layer}.post_norm.weight"), layer)])
    logits = g.node("MatMul", [g.rms_norm(x, "norm.weight"), g.weight("lm_head.weight")])
    g.node("Reshape", [logits, g.const([-1, 1, c.vocab_size])], name="logits")
    for name, parts in (("new_keys", keys), ("new_values", values)):
        g.node("Concat", parts, name=name, axis=0)
    new_shape = [c.num_hidden_layers, "batch", c.num_key_value_heads, 1, c.head_dim]
    inputs = [
        value("inputs_embeds", ["batch", 1, c.hidden_size]),
        value("past_length", ["batch"], TensorProto.INT64),
        *past_values(c),
    ]
    outputs = [value("logits", ["batch", 1, c.vocab_size]), value("new_keys", new_shape), value("new_values", new_shape)]
    return g.model("decoder_step", inputs, outputs)


def step_tables(g):
    """cos and signed sin for every query and key head, [batch, heads + kv_heads, head_dim]. The
    queries' share carries attention's 1 / sqrt(head_dim)."""
    c = g.config
    positions = g.node("Cast", ["past_length"], to=TensorProto.FLOAT)
    positions = g.node("Unsqueeze", [positions, g.const([1, 2])])
    angles = g.node("Mul", [positions, g.weight("rotary.inv_freq")])
    cos, sin = g.node("Cos", [angles]), g.node("Sin", [angles])
    cos = g.node("Concat", [cos, cos], axis=-1)
    sin = g.node("Concat", [g.node("Neg", [sin]), sin], axis=-1)
    g.initializers["head_scales"] = np.repeat(
        np.array([c.head_dim**-0.5, 1.0], np.float32), [c.num_attention_heads, c.num_key_value_heads]
    ).reshape(1, -1, 1)
    return g.node("Mul", [cos, "head_scales"]), g.node("Mul", [sin, "head_scales"])


def step_heads(g, qkv, tables):
    """Rotated and scaled q [batch, heads, head_dim], rotated k and plain v [batch, kv_heads,
    head_dim] of one token per sequence."""
    c = g.config
    heads, kv_heads, half = c.num_attention_heads, c.num_key_value_heads, c.head_dim // 2
    qk, v = g.split(qkv, [(heads + kv_heads) * c.head_dim, kv_heads * c.head_dim])
    qk = g.reshape(qk, [-1, heads + kv_heads, c.head_dim])
    a, b = g.split(qk, [half, half])
    turned = g.node("Concat", [b, a], axis=-1)
    qk = g.node("Add", [g.node("Mul", [qk, tables[0]]), g.node("Mul", [turned, tables[1]])])
    q, k = g.split(qk, [heads, kv_heads], axis=1)
    return q, k, g.reshape(v, [-1, kv_heads, c.head_dim])


def merged_decoder(config, weights):
    """The transformers.js layout. Inputs: inputs_embeds [batch, tokens, hidden], attention_mask
    [batch, past + tokens], position_ids [batch, tokens], past_key_values.N.key|value [batch,
    kv_heads, past, head_dim]. Outputs: logits [batch, tokens, vocab], present.N.key|value [batch,
    kv_heads, past + tokens, head_dim]."""
    g = DecoderGraph(config, weights)
    tokens = g.node("Shape", ["inputs_embeds"], start=1, end=2)
    steps = arange(g, tokens)
    tables = g.rotary_tables("position_ids")
    past = g.node("Shape", ["past_key_values.0.key"], start=2, end=3)
    seen = g.node("Cast", ["attention_mask"], to=TensorProto.BOOL)
    seen = g.node("Unsqueeze", [seen, g.const([1, 2])])
    width = g.node("Add", [past, tokens])
    columns = g.node("Unsqueeze", [arange(g, width), g.const([0])])
    own = g.node("Unsqueeze", [g.node("Add", [steps, past]), g.const([1])])
    causal = g.node("Unsqueeze", [g.node("LessOrEqual", [columns, own]), g.const([0, 1])])
    mask = additive(g, g.node("And", [seen, causal]))

    def attention(q, k, v, layer):
        present = []
        for kind, new in (("key", k), ("value", v)):
            present.append(g.node("Concat", [f"past_key_values.{layer}.{kind}", new], name=f"present.{layer}.{kind}", axis=2))
        scores = g.node("MatMul", [q, g.node("Transpose", [present[0]], perm=[0, 1, 3, 2])])
        return g.node("MatMul", [g.masked_softmax(scores, mask), present[1]])

    hidden, _, _ = run_layers(g, tables, tokens, attention)
    g.node("MatMul", [g.rms_norm(hidden, "norm.weight"), g.weight("lm_head.weight")], name="logits")
    c = config
    inputs = [
        value("inputs_embeds", ["batch", "tokens", c.hidden_size]),
        value("attention_mask", ["batch", "past + tokens"], TensorProto.INT64),
        value("position_ids", ["batch", "tokens"], TensorProto.INT64),
        *past_values(c),
    ]
    present_shape = ["batch", c.num_key_value_heads, "past + tokens", c.head_dim]
    present = [value(f"present.{i}.{kind}", present_shape) for i in range(c.num_hidden_layers) for kind in ("key", "value")]
    return g.model("decoder_merged", inputs, [value("logits", ["batch", "tokens", c.vocab_size]), *present])


def run_layers(g, tables, tokens_shape, attention):
    """The residual stack; gives the last hidden states and every layer's new keys and values."""
    x, keys, values = "inputs_embeds", [], []
    for layer in range(g.config.num_hidden_layers):
        normed = g.rms_norm(x, f"layers.{layer}.input_norm.weight")
        q, k, v = g.query_key_value(normed, layer, tables)
        keys.append(k)
        values.append(v)
        attended = g.merge_heads(attention(q, k, v, layer), tokens_shape)
        x = g.node("Add", [x, g.linear(attended, f"layers.{layer}.o")])
        normed = g.rms_norm(x, f"layers.{layer}.post_norm.weight")
        x = g.node("Add", [x, g.feed_forward(normed, layer)])
    return x, keys, values


def arange(g, length):
    """[0, length) as int64, for a length of shape [1]."""
    scalar = g.node("Squeeze", [length, g.const([0])])
    return g.node("Range", [g.const(0), scalar, g.const(1)])


def causal_pairs(g, steps):
    """[tokens, tokens]: True where the column's token is not later than the row's."""
    return g.node("LessOrEqual", [g.node("Unsqueeze", [steps, g.const([0])]), g.node("Unsqueeze", [steps, g.const([1])])])


def additive(g, seen):
    """0 where `seen`, MASKED elsewhere."""
    return g.node("Where", [seen, g.const(0.0, np.float32), g.const(MASKED, np.float32)])


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def past_values(c):
    shape = ["batch", c.num_key_value_heads, "past", c.head_dim]
    return [value(f"past_key_values.{i}.{kind}", shape) for i in range(c.num_hidden_layers) for kind in ("key", "value")]
