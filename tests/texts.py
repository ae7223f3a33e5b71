"""Descriptions that every tool of the project must accept, and some that it must reject."""

from __future__ import annotations

ACCEPTED = {
    "the shortest": "input conv output",
    "the paper's LeNet": "LENET → input conv pooling conv pooling flatten fullyConnected"
    " fullyConnected output",
    "a name and an ASCII arrow": "My_Net2->input bnconv globalPooling dense output",
    "a name like the start of a word": "inputs -> input conv output",
    "every convolution": "input conv convbn bnconv BatchNormalisation flatten dense output",
    "every interstice's neighbours": "input conv dropout avg_pooling flatten dropout dense"
    " dropout dense output",
    "a global average": "input convbn max_pooling global_avg_pooling dense output",
    "a global maximum": "input bnconv global_max_pooling dense dense dense output",
    "a merge alone, a backbone": "input [ ( conv , Empty ) ] output",
    "a merge without spaces": "input [(conv,Empty)(convbn,conv bnconv)] flatten dense output",
    "a merge with dropout and pooling": "input [ ( conv , Empty ) ] dropout max_pooling output",
    "three bodies in a chain": "input [ ( conv , conv ) ( bnconv dropout , convbn conv )"
    " ( conv avg_pooling , conv ) ] flatten dense output",
    "pooling on both ends of a left side": "input [ ( max_pooling conv avg_pooling , conv ) ]"
    " output",
    "a left side that is a merge": "input [ ( [ ( conv , Empty ) ] , Empty ) ] output",
    "merges and convolutions in turn": "input [ ( conv dropout [ ( conv , Empty ) ]"
    " [ ( conv , conv ) ] conv dropout convbn [ ( bnconv , Empty ) ] , conv ) ] output",
    "add": "input conv(filters=8) [ add ( conv , Empty ) ] flatten dense output",
    "concat, glued to its bracket": "input [concat ( conv , conv ) ] flatten dense output",
    "both ends fixed": "input(28x28x1) conv flatten dense output(10)",
    "every hyper-parameter": "input conv(filters=32, kernel=5, stride=1, padding=same,"
    " activation=relu, bias=false) max_pooling(size=3, stride=2, padding=valid)"
    " bnconv(epsilon=1.1e-10, filters=4) dropout(rate=0.2) pooling(size=2x3)"
    " BatchNormalisation(epsilon=.001) flatten dense(units=120, activation=tanh) dense output",
    "a rectangle": "input(64x48x3) conv(kernel=3x5, stride=2 x 1) output",
    "a dropout after the pooling, with its rate": "input conv max_pooling dropout(rate=0.25)"
    " flatten dense output",
    "dropouts on both sides of a pooling": "input conv dropout pooling dropout(rate=0) output",
    "no dropout at all": "input conv dropout(rate=0) flatten dense output",
    "comments everywhere": "// a\n/* b\n*/ input /**/ conv // c\r\n output /***/ // the end",
    "any white space": "\ufeffinput\r\n\tconv\x0b\x0c\u00a0conv\u2003output\n\n",
    "leading zeros": "input conv(filters=007) dropout(rate=00.50) output(0000000010)",
    "the largest numbers": "input(1000000x1000000x1000000) conv output(1000000)",
}

REJECTED = {
    # name: (text, line and column, what the message says)
    "nothing": ("", "1:1", "found the end of the text, expected 'input' or a name"),
    "only a comment": ("// input conv output", "1:1", "found the end of the text"),
    "only a word": ("input", "1:6", "found the end of the text, expected 'bnconv'"),
    "capitals": ("INPUT CONV OUTPUT", "1:7", "found 'CONV', expected '->'"),
    "code for a name": ('__import__("os") -> input conv output', "1:11", "found '('"),
    "a word for a name": ("conv -> input conv output", "1:1", "'conv' is reserved"),
    "a value for a name": ("relu -> input conv output", "1:1", "'relu' is reserved"),
    "a name too long": ("n" * 65 + " -> input conv output", "1:1", "a name (up to 64"),
    "a name with a dash": ("my-net -> input conv output", "1:3", "found '-', expected '->'"),
    "a name with an accent": ("réseau -> input conv output", "1:1", "found 'réseau'"),
    "no input": ("conv flatten dense output", "1:1", "found 'conv', expected 'input'"),
    "no output": ("input conv flatten dense", "1:25", "expected 'dropout', 'dense'"),
    "no feature extraction": ("input flatten dense output", "1:7", "found 'flatten'"),
    "a pooling first": ("input max_pooling conv output", "1:7", "found 'max_pooling'"),
    "a dropout first": ("input dropout conv output", "1:7", "found 'dropout'"),
    "two poolings": ("input conv pooling pooling output", "1:20", "found 'pooling'"),
    "a bare dropout after a pooling": (
        "input conv pooling dropout output",
        "1:28",
        "names its rate",
    ),
    "two dropouts": ("input conv dropout dropout output", "1:20", "found 'dropout'"),
    "a dense layer without an interstice": ("input conv dense output", "1:12", "found 'dense'"),
    "an interstice without a dense layer": ("input conv flatten output", "1:20", "'dense' or"),
    "two interstices": (
        "input conv flatten global_avg_pooling dense output",
        "1:20",
        "found 'global_",
    ),
    "a dropout at the end": ("input conv flatten dense dropout output", "1:34", "found 'output'"),
    "a convolution after the classification": (
        "input conv flatten dense conv output",
        "1:26",
        "found 'conv'",
    ),
    "text after the end": ("input conv output\nconv", "2:1", "expected '(' or the end of the text"),
    "two descriptions": ("input conv output input conv output", "1:19", "found 'input'"),
    "a merge without bodies": (
        "input [ ] output",
        "1:9",
        "found ']', expected 'add', 'concat' or '('",
    ),
    "a merge left open": (
        "input [ ( conv , Empty ) output",
        "1:26",
        "found 'output', expected '(' or ']'",
    ),
    "a body left open": ("input [ ( conv , Empty ] output", "1:24", "found ']', expected ')'"),
    "a merge closed twice": ("input [ ( conv , Empty ) ] ] output", "1:28", "found ']'"),
    "no comma": ("input [ ( conv Empty ) ] output", "1:16", "found 'Empty'"),
    "an empty left side": ("input [ ( Empty , conv ) ] output", "1:11", "found 'Empty'"),
    "nothing on the left": ("input [ ( , conv ) ] output", "1:11", "found ','"),
    "nothing on the right": ("input [ ( conv , ) ] output", "1:18", "'conv' or 'Empty'"),
    "only a pooling on the left": ("input [ ( pooling , conv ) ] output", "1:19", "found ','"),
    "a pooling between convolutions on the left": (
        "input [ ( conv pooling conv , conv ) ] output",
        "1:24",
        "found 'conv', expected '(' or ','",
    ),
    "a dropout on the right": (
        "input [ ( conv , conv dropout ) ] output",
        "1:23",
        "found 'dropout'",
    ),
    "a pooling on the right": (
        "input [ ( conv , conv pooling ) ] output",
        "1:23",
        "found 'pooling'",
    ),
    "a merge on the right": (
        "input [ ( conv , [ ( conv , Empty ) ] ) ] output",
        "1:18",
        "found '['",
    ),
    "Empty beside a convolution": (
        "input [ ( conv , Empty conv ) ] output",
        "1:24",
        "found 'conv', expected ')'",
    ),
    "batch normalisation in a merge": (
        "input [ ( BatchNormalisation , conv ) ] output",
        "1:11",
        "found 'Batch",
    ),
    "a mode that is none": ("input [ multiply ( conv , Empty ) ] output", "1:9", "'add', 'concat'"),
    "words run together": ("input convconv output", "1:7", "found 'convconv'"),
    "input run together": ("inputconv output", "1:11", "found 'output', expected '->'"),
    "an unknown word": ("input conv attention output", "1:12", "found 'attention'"),
    "a slip of the pen": ("input conv max_poling output", "1:12", "Did you mean 'max_pooling'?"),
    "another spelling": (
        "input BatchNormalization output",
        "1:7",
        "Did you mean 'BatchNormalisation'?",
    ),
    "another case": ("input conv Flatten dense output", "1:12", "Did you mean 'flatten'?"),
    "a parameter of another word": (
        "input conv(units=3) output",
        "1:12",
        "found 'units', expected 'filters'",
    ),
    "an unknown parameter": ("input conv(kernal=3) output", "1:12", "Did you mean 'kernel'?"),
    "no parameters in the brackets": (
        "input conv() output",
        "1:12",
        "found ')', expected 'filters'",
    ),
    "a comma too many": ("input conv(filters=3,) output", "1:22", "found ')', expected 'filters'"),
    "parameters on an interstice": (
        "input conv flatten(units=3) dense output",
        "1:19",
        "found '('",
    ),
    "a parameter given twice": (
        "input conv(kernel=3, kernel=5) output",
        "1:22",
        "'kernel' is given twice",
    ),
    "a parameter given twice after another": (
        "input bnconv(epsilon=1, bias=true, epsilon=1) output",
        "1:36",
        "'epsilon' is given twice",
    ),
    "a value that is none": (
        "input conv(padding=sideways) output",
        "1:20",
        "expected 'same' or 'valid'",
    ),
    "a number for a word": (
        "input conv(activation=3) output",
        "1:23",
        "found '3', expected 'linear'",
    ),
    "a word for a number": (
        "input conv(filters=many) output",
        "1:20",
        "found 'many', expected a whole number",
    ),
    "a negative count": (
        "input conv(filters=-3) output",
        "1:20",
        "found '-3', expected a whole number",
    ),
    "a broken count": (
        "input conv(filters=3.5) output",
        "1:20",
        "found '3.5', expected a whole number",
    ),
    "a count of zero": (
        "input conv(filters=0) output",
        "1:20",
        "'filters' cannot be 0; it is a whole number from 1 to 1,000,000",
    ),
    "a count too large": (
        "input conv(filters=1000001) output",
        "1:20",
        "'filters' cannot be 1000001",
    ),
    "a count of a million digits": (
        "input conv(filters=" + "9" * 10**6 + ") output",
        "1:20",
        "'filters' cannot be 999",
    ),
    "a stride of zero": ("input conv(stride=0) output", "1:19", "'stride' cannot be 0"),
    "half a stride of zero": ("input conv(stride=2x0) output", "1:19", "'stride' cannot be 2x0"),
    "half a rectangle": (
        "input conv(kernel=3x) output",
        "1:19",
        "found '3x', expected a size such as 3 or 3x5",
    ),
    "a cube": ("input conv(kernel=3x5x7) output", "1:19", "found '3x5x7', expected a size"),
    "Arabic digits": ("input conv(filters=٣) output", "1:20", "found '٣', expected a whole number"),
    "a rate over one": (
        "input conv dropout(rate=1.5) output",
        "1:25",
        "'rate' cannot be 1.5; it is a share from 0 to below 1",
    ),
    "a rate of one": ("input conv dropout(rate=1) output", "1:25", "'rate' cannot be 1;"),
    "a rate beyond all floats": (
        "input conv dropout(rate=1e999) output",
        "1:25",
        "'rate' cannot be 1e999",
    ),
    "an epsilon of zero": (
        "input bnconv(epsilon=0) output",
        "1:22",
        "'epsilon' cannot be 0; it is a number above 0",
    ),
    "an epsilon that vanishes": (
        "input bnconv(epsilon=1e-999) output",
        "1:22",
        "'epsilon' cannot be 1e-999",
    ),
    "an epsilon that is no number": (
        "input bnconv(epsilon=nan) output",
        "1:22",
        "found 'nan', expected a number",
    ),
    "an exponent without digits": (
        "input bnconv(epsilon=1e) output",
        "1:22",
        "found '1e', expected a number",
    ),
    "an image without channels": (
        "input(32x32) conv output",
        "1:7",
        "found '32x32', expected a shape such as 32x32x3",
    ),
    "an image of no height": ("input(0x32x3) conv output", "1:7", "'input' cannot be 0x32x3"),
    "an image on two lines": ("input(9\n\tx0x3) conv output", "1:7", "'input' cannot be 9  x0x3"),
    "no classes": ("input conv output(0)", "1:19", "'output' cannot be 0"),
    "a comment left open": (
        "input conv /* output",
        "1:12",
        "The comment is not closed: */ is missing.",
    ),
    "a comment closed twice": ("input /* a */ */ conv output", "1:15", "found '*'"),
    "a zero byte": ("input conv \0 output", "1:12", "found the character U+0000"),
    "a character that turns the line round": (
        "input conv \u202e output",
        "1:12",
        "found the character U+202E",
    ),
    "half a character": ("input conv \ud800 output", "1:12", "found the character U+D800"),
    "a mark of byte order in the middle": (
        "input \ufeff conv output",
        "1:7",
        "found the character U+FEFF",
    ),
}
