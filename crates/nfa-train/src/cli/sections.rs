//! The sections of an experiment file that are no kinds, in words.

/// Each section's name and page.
pub(super) const SECTIONS: [(&str, &str); 5] =
    [("probe", PROBE), ("verdict", VERDICT), ("grid", GRID), ("expect", EXPECT), ("plot", PLOT)];

const PROBE: &str = "probe (experiment file)\n\n  \
    What is measured, when, and on which rows.\n\n\
    [probe]\n\
    at = { log = 60 }                # or { every = 100 }, { steps = [0, 10, 500] }; always with step 0 and the last\n\
    layers = \"all\"                   # or a list, by number from 0, name or pattern: [0, \"*.up\"]; sites.json has the names\n\
    metrics = [\"loss\", \"accuracy\", \"nfa\", \"balance\"]   # names of laws and metrics: nfa-train list laws, list metrics\n\
    alpha = []                       # more exponents for the cosines\n\
    interval = \"none\"                # or \"inputs\": of these weights over fresh inputs\n\
    rows = \"train\"                   # or \"test\", the held-out ones; with interval = \"inputs\" \"test\" where there are any:\n\
    #                                on rows that were trained on, intervals are too narrow\n\
    samples = 2000                   # on so many of them, drawn by the seed; without it on all\n\
    average = { last = 1000, every = 5 }  # for fact.averaged: every 5th of the last 1000 steps before each probe; a mean\n\
    #                                over 2 lambda sum eta well above 1 agrees on any bounded path\n\
    matrices = false                 # whether NFM, AGOP and FACT are written too\n\
    capture = false                  # whether the end is written as capture.safetensors, for measure --capture\n\n\
    AGOPs, exponents, misfits and intervals are all of the same rows; what is of the loss (fact, bfact, enfa, virtual,\n\
    crh) is of the rows trained on.\n";

const VERDICT: &str = "verdict (experiment file)\n\n  \
    Thresholds of the answers, the first rule that applies.\n\n\
    [verdict]\n\
    certificate = 0.2                # fails: a bound on the misfit for every exponent above this\n\
    approximate = 0.2                # fails: a misfit (its interval) above this; approximate: below it, and nearer than chance\n\
    holds = 0.05                     # holds: a misfit (its interval) up to this, and nearer than chance\n\
    chance = 0.5                     # approximate: below this share of what a random rotation has (from 6 inputs on)\n\
    z = 3                            # both: the traceless cosine this many deviations above its null (from 6 inputs on)\n\
    exponent = 0.01                  # exponent_agrees: within this of theory's, where the exponent is exact\n\n\
    Undetermined: fewer than 8 distinct rows where they are draws (2 where they are all there is), an exponent that\n\
    cannot be told, a misfit that chance gives as well, or one whose interval straddles a threshold.\n";

const GRID: &str = "grid (experiment file)\n\n  \
    Lists of values by dotted key: every combination is a run, in every arm.\n\n\
    [grid]\n\
    seed = [0, 1, 2]\n\
    \"model.depth\" = [2, 3, 4]\n\n\
    [[arm]]                          # runs that differ by more than a list: its keys override the file's\n\
    name = \"slow\"\n\
    \"solver.lr\" = 0.001\n\
    grid = { \"data.noise\" = [0, 0.1] }   # beside [grid], in this arm alone\n\n\
    --grid KEY=a,b replaces KEY's list wherever the file has one, --set KEY=v by the one value.\n";

const EXPECT: &str = "expect (experiment file)\n\n  \
    What `check` holds the records against: one check per block and run that it speaks of (of a slope: per group of runs), at the\n  worst probe.\n\n\
    [[expect]]\n\
    metric = \"nfa.alpha.layer0\"      # a column; layer* stands for each layer, `outcome` for how the run ended\n\
    where = { \"model.depth\" = [2, 3] }  # arm or key = value or list; without it every run\n\
    at = \"last\"                      # last | first | every | a step\n\
    equals = \"1/L\"                   # or law = the same; a word of a text column; min = , max =\n\
    within = 0.005                   # a distance, or \"1%\" of what is expected; without it equal to the last digit\n\
    basis = \"theory\"                 # theory: the number is theory's; looked (default): a bound set after looking at runs\n\
    # or slope = 2, over = \"solver.lr\": of log(metric) on log(key) over runs that differ in that key alone\n\n\
    The page and `check` count both kinds of basis. No key here changes what is run, or a run's id.\n\n\
    Formulas are those of [[plot]]: see `explain plot`.\n";

const PLOT: &str = "plot (experiment file)\n\n  \
    A figure of the experiment's own, on its page and in plots/: theory as grey lines, measurement in colour.\n\n\
    [[plot]]\n\
    kind = \"curve\"\n\
    x = \"lambda_t\"                   # or step, time (lr * step), alpha (of a cosine), a numeric key, another column\n\
    y = \"imbalance_ratio.layer0\"     # a column; layer* draws a line per layer\n\
    lines = \"model.depth\"            # a key or arm: a colour per value, at most 5\n\
    # or y = \"*.misfit.layer0\" and laws = [\"fact\", \"nfa\"]: a colour per law, at most 5, the marks its verdicts\n\
    theory = \"exp(-2*x)\"             # a formula, also of x and of one fitted factor c: \"c*lr^2\"\n\
    log = \"y\"                        # x, y or xy\n\
    # and, as for every plot: at = \"last\" | \"first\" | step (where x isn't time), panels = \"arm\" (at most 6),\n\
    # where = { arm or key = value or list }, title, caption (one sentence; by default what was measured)\n\n\
    [[plot]]\n\
    kind = \"map\"\n\
    x = \"data.share\"                 # two numeric keys\n\
    y = \"data.ratio\"\n\
    value = \"nfa.parts.order.layer0\" # a column, or \"verdict\"\n\
    boundary = [1, \"sqrt((1-x)/x)\"]  # y as formulas of x; a string: one formula that is 0 there\n\
    log = \"y\"                        # x, y, v (the colours)\n\n\
    Formulas, also of [[expect]]: L (depth), l (layer, from 1), lr, lambda, t (step), keys like data.ratio, pi,\n\
    exp, log, sqrt, abs, min(a, b), max(a, b), + - * / ^.\n";
