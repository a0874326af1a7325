"""ONNX graphs of a Llama-style decoder, built node by node.

The graphs share one set of weights (same initializer names, one external data file):

append graph    the past is read where it lies and only the new rows come out
append scorer   the same with a reward model's two logits at every token, and where wanted with how
                likely the language head finds the tokens
merged graph    the layout of transformers.js: the whole present comes out

Both attend over a past that may be padded at its end, so sequences of different length share a
batch. All tensors are float32, all index tensors int64.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
CONTRIB = "com.microsoft"  # ONNX Runtime's own operators
LEAST_LOG_P = -30.0  # what a picture's row seems to have must stay finite, and no token decides alone
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

    def first(self, x, count, axis=-1):
        """The first `count` entries of an axis; all but the last ones if negative."""
        return self.node("Slice", [x, self.const([0]), self.const([count]), self.const([axis])])

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
        """q [batch, kv_heads, group * tokens, head_dim]; k and v [batch, kv_heads, tokens, head_dim].
        The weights of q carry attention's 1 / sqrt(head_dim)."""
        c = self.config
        heads, kv_heads, dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        qkv = self.linear(x, f"layers.{layer}.qkv")
        qk, v = self.split(qkv, [(heads + kv_heads) * dim, kv_heads * dim])
        qk = self.rotate(self.reshape(qk, [0, 0, heads + kv_heads, dim]), tables)
        q, k = self.split(qk, [heads, kv_heads], axis=2)
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
        gate, up = (self.linear(x, f"layers.{layer}.{part}") for part in ("gate", "up"))
        active = self.node("Mul", [gate, self.node("Sigmoid", [gate])])
        return self.linear(self.node("Mul", [active, up]), f"layers.{layer}.down")

    def model(self, name, inputs, outputs):
        tensors = [numpy_helper.from_array(array, key) for key, array in self.initializers.items()]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)], ir_version=9, producer_name="steptree")


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


def likelihood_scorer(config, weights):
    """The append scorer with a third logit: the sum of log p(token | everything before it) over this
    pass's tokens up to each one, by the same model's language head. A host adds the passes of a
    solution in double precision; a sum carried through the past would drag the prompt's along, whose
    picture rows are no tokens, and lose digits to it. `score_marker` [hidden] is the embedding of the
    marker, which was never a target of training and counts 0, as does the text's first token. One log p
    is at least LEAST_LOG_P.

    log p of a token needs the normed hidden state before it, across passes too. So the state of every
    token goes through `carried_layers` layers of KV that nothing attends to: [2 * layers, kv_heads,
    head_dim] of keys, then of values, zeros behind the state."""
    if not config.tie_word_embeddings:
        raise ValueError("a token's logit is taken with its embedding: tie_word_embeddings must be true")
    g = DecoderGraph(config, weights)
    hidden, keys, values = append_layers(g)
    normed = g.rms_norm(hidden, "norm.weight")
    answers = g.node("MatMul", [normed, g.weight("score_head.weight")])
    before = g.first(g.node("Concat", [carried_state(g), normed], axis=1), -1, axis=1)
    g.node("Concat", [answers, token_log_sums(g, before)], name="logits", axis=-1)
    carried = carried_rows(g, normed)
    count = carried_layers(config)
    keys, values = keys + carried[:count], values + carried[count:]
    return append_model(g, "scorer_append", keys, values, [], ["batch", "tokens", 3])


def carried_layers(config):
    """Layers of KV that hold one hidden state a token."""
    return -(-config.hidden_size // (2 * config.num_key_value_heads * config.head_dim))


def carried_rows(g, state):
    """[batch, tokens, hidden] as rows of KV, each [batch, kv_heads, tokens, head_dim]."""
    c = g.config
    parts = 2 * carried_layers(c)
    spare = parts * c.num_key_value_heads * c.head_dim - c.hidden_size
    padded = g.node("Pad", [state, g.const([0, 0, 0, 0, 0, spare])]) if spare else state
    rows = g.reshape(padded, [0, 0, parts, c.num_key_value_heads, c.head_dim])
    rows = g.node("Transpose", [rows], perm=[2, 0, 3, 1, 4])
    rows = g.node("Split", [rows], parts, axis=0, num_outputs=parts)
    return [g.node("Squeeze", [row, g.const([0])]) for row in rows]


def carried_state(g):
    """The state of the last valid past token, [batch, 1, hidden]; zeros where there is none."""
    c = g.config
    layers = range(c.num_hidden_layers, c.num_hidden_layers + carried_layers(c))
    index = g.node("Unsqueeze", ["past_length", g.const([1])])
    parts = []
    for name in [f"past_key_values.{layer}.{kind}" for kind in ("key", "value") for layer in layers]:
        by_token = g.node("Transpose", [name], perm=[0, 2, 1, 3])
        # One row of zeros in front: the last valid row lies at past_length then, and there always is one.
        shifted = g.node("Pad", [by_token, g.const([0, 1, 0, 0, 0, 0, 0, 0])])
        row = g.node("GatherND", [shifted, index], batch_dims=1)
        parts.append(g.reshape(row, [0, 1, c.num_key_value_heads * c.head_dim]))
    return g.first(g.node("Concat", parts, axis=-1), c.hidden_size)


def token_log_sums(g, before):
    """Sums of log p of the tokens up to each one, [batch, tokens, 1], from the states before them."""
    zero = g.const(0.0, np.float32)
    embeds = "inputs_embeds"
    logit = g.node("ReduceSum", [g.node("Mul", [before, embeds]), g.const([-1])], keepdims=1)
    logits = g.node("MatMul", [before, g.weight("lm_head.weight")])
    # LogSoftmax sums a row alike wherever it lies in the batch, which reductions don't promise;
    # the first column less its log p is the logarithm of the sum.
    log_sum = g.node("Sub", [g.first(logits, 1), g.first(g.node("LogSoftmax", [logits], axis=-1), 1)])
    log_p = g.node("Sub", [logit, log_sum])
    log_p = g.node("Clip", [log_p, g.const(LEAST_LOG_P, np.float32), zero])
    apart = g.node("Abs", [g.node("Sub", [embeds, g.weight("score_marker")])])
    is_text = g.node("Greater", [g.node("ReduceMax", [apart, g.const([-1])], keepdims=1), g.const(1e-6, np.float32)])
    tokens = g.node("Shape", [embeds], start=1, end=2)
    place = g.node("Add", [g.node("Unsqueeze", ["past_length", g.const([1])]), arange(g, tokens)])
    follows = g.node("Greater", [g.node("Unsqueeze", [place, g.const([2])]), g.const(0)])
    counted = g.node("Where", [g.node("And", [is_text, follows]), log_p, zero])
    return g.node("CumSum", [counted, g.const(1)])


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
        scores = [g.node("MatMul", [q, transposed(g, key)]) for key in (past_k, k)]
        shares = g.masked_softmax(g.node("Concat", scores, axis=-1), mask)
        old, new = g.node("Split", [shares, widths], 2, axis=-1)
        return g.node("Add", [g.node("MatMul", [old, past_v]), g.node("MatMul", [new, v])])

    return run_layers(g, tables, tokens, attention)


def append_model(g, name, keys, values, more_inputs, logits_shape):
    """The finished graph; `new_keys` and `new_values` are stacked over layers."""
    c, layers = g.config, len(keys)
    for output, parts in (("new_keys", keys), ("new_values", values)):
        g.node("Concat", [g.node("Unsqueeze", [part, g.const([0])]) for part in parts], name=output, axis=0)
    new_shape = [layers, "batch", c.num_key_value_heads, "tokens", c.head_dim]
    inputs = [
        value("inputs_embeds", ["batch", "tokens", c.hidden_size]),
        value("past_length", ["batch"], TensorProto.INT64),
        *more_inputs,
        *past_values(c, layers=layers),
    ]
    outputs = [value("logits", logits_shape), value("new_keys", new_shape), value("new_values", new_shape)]
    return g.model(name, inputs, outputs)


def step_decoder(config, weights):
    """One token for each of `batch` sequences that share prefixes: a prefix's KV is read once for
    all its sequences, as one matrix product per head, and only what a sequence added itself is read
    for it alone (after Hydragen, arXiv 2402.05099, section 3; here one softmax runs over both
    parts). A tile is a prefix with at most `rows` of the sequences. Inputs:

    inputs_embeds              [batch, 1, hidden]
    positions                  [batch, 1], where the tokens stand
    attention_bias             [batch, 1, 1, prefix + own + 1], 0 for what a token sees and MASKED for
                               padding; the last column is the token itself
    tile_queries               [tiles, kv_heads, rows * group, 3]: the sequence, kv_head and query of its
                               group that each row of a tile is
    sequence_rows              [batch, kv_heads, group, 3]: the tile, kv_head and row of each query
    prefix_key_values.N.key    and .value [tiles, kv_heads, prefix, head_dim]
    past_key_values.N.key      and .value [batch, kv_heads, own, head_dim]

    Outputs: logits [batch, 1, vocab], and new_key_values [batch, layers * 2 * kv_heads, 1, head_dim], of
    each layer the new row of keys and then that of values. With at least two `rows * group`, what
    a sequence gets does not depend on the others, to the last bit."""
    c = config
    g = DecoderGraph(config, weights)
    heads, kv_heads, dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
    group = heads // kv_heads
    g.initializers["rotary.cos"], g.initializers["rotary.sin"] = rotary_caches(c, weights)
    widths = [g.node("Shape", [f"{kind}_key_values.0.key"], start=2, end=3) for kind in ("prefix", "past")]
    widths = g.node("Concat", [*widths, g.const([1])], axis=0)
    x, new = "inputs_embeds", []
    for layer in range(c.num_hidden_layers):
        qkv = g.linear(g.rms_norm(x, f"layers.{layer}.input_norm.weight"), f"layers.{layer}.qkv")
        qk, v = g.split(g.reshape(qkv, [-1, heads + 2 * kv_heads, 1, dim]), [heads + kv_heads, kv_heads], axis=1)
        qk = g.node("RotaryEmbedding", [qk, "positions", "rotary.cos", "rotary.sin"], domain=CONTRIB)
        q, k = g.split(qk, [heads, kv_heads], axis=1)
        new += [k, v]
        if group > 1:
            q = g.reshape(q, [-1, kv_heads, group, dim])
        mixed = step_attention(g, layer, (q, k, v), widths)
        mixed = g.reshape(mixed, [-1, 1, heads * dim])
        x = g.node("Add", [x, g.linear(mixed, f"layers.{layer}.o")])
        x = g.node("Add", [x, g.feed_forward(g.rms_norm(x, f"layers.{layer}.post_norm.weight"), layer)])
    g.node("MatMul", [g.rms_norm(x, "norm.weight"), g.weight("lm_head.weight")], name="logits")
    g.node("Concat", new, name="new_key_values", axis=1)
    inputs = [
        value("inputs_embeds", ["batch", 1, c.hidden_size]),
        value("positions", ["batch", 1], TensorProto.INT64),
        value("attention_bias", ["batch", 1, 1, "prefix + own + 1"]),
        value("tile_queries", ["tiles", kv_heads, "rows * group", 3], TensorProto.INT64),
        value("sequence_rows", ["batch", kv_heads, group, 3], TensorProto.INT64),
        *past_values(c, "prefix", ["tiles", kv_heads, "prefix", dim]),
        *past_values(c, "past", ["batch", kv_heads, "own", dim]),
    ]
    outputs = [
        value("logits", ["batch", 1, c.vocab_size]),
        value("new_key_values", ["batch", c.num_hidden_layers * 2 * kv_heads, 1, dim]),
    ]
    return g.model("decoder_step", inputs, outputs)


def step_attention(g, layer, query_key_value, widths):
    """q [batch, kv_heads, group, head_dim], k and v [batch, kv_heads, 1, head_dim] of the new tokens
    to what they attend to, of q's shape."""
    q, k, v = query_key_value
    prefix_k, prefix_v = (f"prefix_key_values.{layer}.{kind}" for kind in ("key", "value"))
    past_k, past_v = (f"past_key_values.{layer}.{kind}" for kind in ("key", "value"))

    def through_tiles(rows, tensor):
        """rows [batch, kv_heads, group, n] times each tile's [tiles, kv_heads, n, m]."""
        product = g.node("MatMul", [g.node("GatherND", [rows, "tile_queries"]), tensor])
        return g.node("GatherND", [product, "sequence_rows"])

    shared = through_tiles(q, transposed(g, prefix_k))
    own = g.node("MatMul", [q, transposed(g, past_k)])
    itself = g.node("ReduceSum", [g.node("Mul", [q, k]), g.const([-1])], keepdims=1)
    scores = g.node("Add", [g.node("Concat", [shared, own, itself], axis=-1), "attention_bias"])
    shared, own, itself = g.node("Split", [g.node("Softmax", [scores], axis=-1), widths], 3, axis=-1)
    mixed = g.node("Add", [g.node("MatMul", [own, past_v]), g.node("Mul", [itself, v])])
    return g.node("Add", [mixed, through_tiles(shared, prefix_v)])


def rotary_caches(config, weights):
    """cos and sin of every position, [max_position_embeddings, head_dim / 2]."""
    positions = np.arange(config.max_position_embeddings, dtype=np.float32)[:, None]
    angles = positions * weights["rotary.inv_freq"]
    return np.cos(angles), np.sin(angles)


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
        scores = g.node("MatMul", [q, transposed(g, present[0])])
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


def transposed(g, x):
    return g.node("Transpose", [x], perm=[0, 1, 3, 2])


def additive(g, seen):
    """0 where `seen`, MASKED elsewhere."""
    return g.node("Where", [seen, g.const(0.0, np.float32), g.const(MASKED, np.float32)])


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def past_values(c, name="past", shape=None, layers=None):
    shape = shape or ["batch", c.num_key_value_heads, "past", c.head_dim]
    return [value(f"{name}_key_values.{i}.{kind}", shape) for i in range(layers or c.num_hidden_layers) for kind in ("key", "value")]
