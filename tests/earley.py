"""An independent judge of the language: an Earley parser, its grammar written from the paper.

Fig. 11 of the paper rule for rule, then the short forms of its Fig. 2 and 4 and the
hyper-parameters of the design, with those and the branches that `docs/language.md` adds. Nothing here is derived from `grammar.tx`, and Earley's
algorithm takes any context-free grammar, so `ConvOrMerge` stands as it was published.
"""

from __future__ import annotations

import lark

GRAMMAR = r"""
start: (NAME ARROW)? input featureextraction+ (INTERSTICE classification+)? output

input: INPUT ("(" SHAPE ")")?
output: OUTPUT ("(" COUNT ")")?

featureextraction: (convolution | BATCHNORM norm? | ACTIVATE acting? | squeezing | merge) dropout? (pooling rated_dropout?)?
convolution: CONV conv_parameters? | (CONVBN | BNCONV) both_parameters?
BATCHNORM.1: /BatchNormalisation(?!\w)/
norm: "(" parameters{epsilon} ")"
ACTIVATE.1: /activate(?!\w)/
squeezing: SQUEEZE ("(" parameters{squeeze_parameter} ")")?
SQUEEZE.1: /squeeze_excite(?!\w)/
acting: "(" parameters{activation} ")"
conv_parameters: "(" parameters{conv_parameter} ")"
both_parameters: "(" parameters{both_parameter} ")"
pooling: POOLING ("(" parameters{pool_parameter} ")")?
dropout: DROPOUT ("(" parameters{rate} ")")?
rated_dropout: DROPOUT "(" parameters{rate} ")"
classification: dropout? dense
dense: DENSE ("(" parameters{dense_parameter} ")")?

merge: "[" MODE? (mergebody+ | branch ("|" branch)+) "]"
branch: featureextraction+ | pooling rated_dropout? featureextraction* | EMPTY
mergebody: "(" left "," right ")"
left: pooling? convormerge pooling?
convormerge: convdrop+ | convdrop* mergeconv+
mergeconv: merge convdrop*
convdrop: (convolution | squeezing) dropout?
right: convolution+ | EMPTY

parameters{one}: one ("," one)*
conv_parameter: filters | kernel | stride | padding | activation | bias | groups | dilation
both_parameter: conv_parameter | epsilon | order
pool_parameter: size | stride | padding
dense_parameter: units | activation
squeeze_parameter: squeezed | activation | gate

filters: FILTERS "=" COUNT
squeezed: SQUEEZED "=" COUNT
gate: GATE "=" OPENING
units: UNITS "=" COUNT
kernel: KERNEL "=" EXTENT
stride: STRIDE "=" EXTENT
size: SIZE "=" EXTENT
padding: PADDING "=" SIDES
activation: ACTIVATION "=" FUNCTION
bias: BIAS "=" FLAG
order: ORDER "=" PLACES
groups: GROUPS "=" (COUNT | DEPTHWISE)
dilation: DILATION "=" EXTENT
rate: RATE "=" SHARE
epsilon: EPSILON "=" SMALL

INPUT: /input(?!\w)/
OUTPUT: /output(?!\w)/
CONV: /conv(?!\w)/
CONVBN: /convbn(?!\w)/
BNCONV: /bnconv(?!\w)/
POOLING: /(avg_pooling|max_pooling|pooling)(?!\w)/
DROPOUT: /dropout(?!\w)/
DENSE: /(dense|fullyConnected)(?!\w)/
INTERSTICE: /(flatten|global_avg_pooling|global_max_pooling|globalPooling)(?!\w)/
MODE: /(add|concat)(?!\w)/
EMPTY: /Empty(?!\w)/
FILTERS: /filters(?!\w)/
SQUEEZED: /squeezed(?!\w)/
GATE: /gate(?!\w)/
OPENING: /(sigmoid|hardsigmoid)(?!\w)/
UNITS: /units(?!\w)/
KERNEL: /kernel(?!\w)/
STRIDE: /stride(?!\w)/
SIZE: /size(?!\w)/
PADDING: /padding(?!\w)/
ACTIVATION: /activation(?!\w)/
BIAS: /bias(?!\w)/
ORDER: /order(?!\w)/
PLACES: /(conv_act_norm|conv_norm_act|norm_conv_act|norm_act_conv)(?!\w)/
GROUPS: /groups(?!\w)/
DILATION: /dilation(?!\w)/
DEPTHWISE: /depthwise(?!\w)/
RATE: /rate(?!\w)/
EPSILON: /epsilon(?!\w)/
SIDES: /(same|valid)(?!\w)/
FUNCTION: /(linear|relu|selu|tanh|gelu|sigmoid|silu|hardswish|hardsigmoid|relu6|leaky_relu|elu|mish)(?!\w)/
FLAG: /(true|false)(?!\w)/

ARROW: "->" | "→"
NAME: /(?!RESERVED(?!\w))[A-Za-z_][A-Za-z0-9_]{0,63}(?!\w)/

// Numbers with their ranges, as far as the sentences of the tests reach.
COUNT: /NUMBER(?![\w.])/
EXTENT: /NUMBER(\s*x\s*NUMBER)?(?![\w.])/
SHAPE: /NUMBER\s*x\s*NUMBER\s*x\s*NUMBER(?![\w.])/
SHARE: /(0+(\.[0-9]*)?|\.[0-9]+|[1-9]([.][0-9]*)?[eE]-[1-9][0-9]?)(?![\w.])/
SMALL: /(1(\.0*)?|0*\.0*[1-9][0-9]*|[1-9]([.][0-9]*)?[eE]-[1-9][0-9]?)(?![\w.])/

%ignore /\s+/
%ignore /\/\/[^\n]*/
%ignore /\/\*(.|\n)*?\*\//
"""

RESERVED = (
    "input|output|conv|convbn|bnconv|BatchNormalisation|avg_pooling|max_pooling|pooling|dropout|"
    "dense|fullyConnected|flatten|global_avg_pooling|global_max_pooling|globalPooling|add|concat|"
    "Empty|filters|units|kernel|stride|size|padding|activation|bias|rate|epsilon|same|valid|"
    "linear|relu|selu|tanh|gelu|sigmoid|true|false|"
    "squeeze_excite|squeezed|gate|activate|order|conv_act_norm|conv_norm_act|norm_conv_act|norm_act_conv|groups|dilation|depthwise|silu|hardswish|hardsigmoid|relu6|leaky_relu|elu|mish"
)

COUNTS = "0*([1-9][0-9]{0,5}|1000000)"

_PARSER = lark.Lark(
    GRAMMAR.replace("RESERVED", f"({RESERVED})").replace("NUMBER", COUNTS), parser="earley"
)


def accepts(text: str) -> bool:
    """Whether a text is a sentence of the language, no hyper-parameter given twice."""
    try:
        tree = _PARSER.parse(text)
    except lark.exceptions.LarkError:
        return False
    for layer in tree.iter_subtrees():
        given = [
            str(next(p.scan_values(lambda _: True)))
            for p in layer.children
            if layer.data.startswith("parameters") and isinstance(p, lark.Tree)
        ]
        if len(given) != len(set(given)):
            return False
    return True
