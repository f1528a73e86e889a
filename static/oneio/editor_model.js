// The rule of the mapping editor as the page holds it, and as a document that goes to the server.
// Names that begin with "_" belong to the page alone.
const EditorModel = {
  MAPPINGS: ["variables", "outgoing", "conversation"],
  BY_KIND: ["source", "template", "constant", "table", "counter", "separator", "further_sources", "further_targets"],
  kinds: {},
  number: 0,

  id() { return ++this.number; },
  copy(value) { return JSON.parse(JSON.stringify(value)); },
  parts(text, separator) { return (text || "").split(separator).map((part) => part.trim()).filter(Boolean); },

  rule(document, defaults) {
    const rule = { ...this.copy(defaults.rule), ...this.copy(defaults.version), owner: "", ...this.copy(document) };
    rule.when = this.flat(rule.when || [], defaults);
    for (const name of this.MAPPINGS) rule[name] = (rule[name] || []).map((row) => this.mapping(row, defaults));
    rule.delays = (rule.delays || []).map((row) => this.delay(row, defaults));
    rule.lookups = (rule.lookups || []).map((row) => this.lookup(row, defaults));
    rule._files = Boolean(rule.attachments);
    rule.attachments = { ...this.copy(defaults.files), ...rule.attachments };
    rule._lists = {};
    for (const [key, value] of Object.entries(rule.attachments)) {
      if (Array.isArray(value)) rule._lists[key] = value.join(", ");
    }
    return rule;
  },
  mapping(given, defaults) {
    const row = { ...this.copy(defaults.mapping), ...this.copy(given) };
    row.formatters = row.formatters.map((step) => ({ _id: this.id(), name: step.name, arguments: { ...step.arguments } }));
    return Object.assign(row, {
      _id: this.id(), _open: false, _problems: [], _result: null, when: this.flat(row.when, defaults),
      _sources: row.further_sources.join(", "), _targets: row.further_targets.join(", "),
    });
  },
  delay(given, defaults) {
    const row = { ...this.copy(defaults.delay), kind: "time", ...given };
    return Object.assign(row, { _id: this.id(), _problems: [], ...this.several(row.values) });
  },

  lookup(given, defaults) {
    const row = { ...this.copy(defaults.lookup), from: "", ...this.copy(given) };
    return Object.assign(row, {
      _id: this.id(), _problems: [], _answer: null, _attributes: row.attributes.join(", "),
      _criteria: row.criteria.map((one) => ({ _id: this.id(), ...one })),
    });
  },

  // Conditions stand in one list, each group before what is in it, with how deep each stands.
  flat(nodes, defaults, depth = 0) {
    return nodes.flatMap((node) => {
      const group = ["all", "any", "none"].find((name) => name in node) || "";
      const head = this.condition(group ? {} : node, defaults, depth, group);
      return group ? [head, ...this.flat(node[group], defaults, depth + 1)] : [head];
    });
  },
  condition(given, defaults, depth, group) {
    const node = { ...this.copy(defaults.condition), operator: "equals", ...this.copy(given) };
    return Object.assign(node, {
      _id: this.id(), depth, group, _problems: [], _answer: null, ...this.several(node.values),
    });
  },
  several(values) { return { _several: values.join("; "), _low: values[0] || "", _high: values[1] || "" }; },
  nested(list, operators, place) {
    const top = [];
    const open = [top];
    const places = [place];
    for (const node of list) {
      open.length = Math.min(node.depth, open.length - 1) + 1;
      const members = open[open.length - 1];
      node._place = `${places[open.length - 1]}[${members.length}]`;
      if (node.group) {
        const below = [];
        members.push({ [node.group]: below });
        places[open.length] = `${node._place}.${node.group}`;
        open.push(below);
      } else {
        members.push(this.single(node, operators));
      }
    }
    return top;
  },
  single(node, operators) {
    const takes = operators[node.operator]?.takes;
    const values = takes === "pair" ? [node._low, node._high] : takes === "values" ? this.parts(node._several, ";") : [];
    return { attribute: node.attribute, operator: node.operator, value: takes === "value" ? node.value : "", values };
  },

  document(rule, operators) {
    const made = this.plain(rule);
    delete made.slug;
    made.when = this.nested(rule.when, operators, "when");
    for (const name of this.MAPPINGS) {
      made[name] = rule[name].map((row, at) => this.written(row, operators, `${name}[${at}]`));
    }
    made.lookups = rule.lookups.map((row, at) => this.asked(row, `lookups[${at}]`));
    made.delays = rule.delays.map((row, at) => this.waiting(row, operators, `delays[${at}]`));
    if (rule._files) made.attachments = this.files(rule);
    else delete made.attachments;
    return made;
  },
  plain(row) { return Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith("_"))); },
  written(row, operators, place) {
    row._place = place;
    const said = { ...this.plain(row), further_sources: this.parts(row._sources, ","), further_targets: this.parts(row._targets, ",") };
    return {
      ...said,
      ...this.unused(row, said),
      formatters: row.formatters.map((step) => ({ name: step.name, arguments: this.plain(step.arguments) })),
      when: this.nested(row.when, operators, `${place}.when`),
    };
  },
  // What the kind does not ask for is emptied, or it would stay behind from another kind.
  unused(row, said) {
    const uses = this.kinds[row.kind]?.uses || this.BY_KIND;
    const names = this.BY_KIND.filter((name) => !uses.includes(name));
    if (row.kind === "append" && row.template) names.push("source");
    return Object.fromEntries(names.map((name) => [name, Array.isArray(said[name]) ? [] : ""]));
  },
  waiting(row, operators, place) {
    row._place = place;
    const condition = row.kind === "variable" ? this.single({ ...row, attribute: row.variable }, operators) : {};
    return {
      kind: row.kind, seconds: row.kind === "time" ? row.seconds : 0, variable: condition.attribute || "",
      operator: condition.operator || "", value: condition.value || "", values: condition.values || [],
    };
  },
  asked(row, place) {
    row._place = place;
    const criteria = row._criteria.map((one) => ({ attribute: one.attribute, template: one.template }));
    const record = row.from.includes("/") ? "" : row.record;
    return { ...this.plain(row), record, criteria, attributes: this.parts(row._attributes, ",") };
  },
  files(rule) {
    const lists = Object.entries(rule._lists).map(([key, text]) => [key, this.parts(text, ",")]);
    const files = { ...rule.attachments, ...Object.fromEntries(lists) };
    if (!files.max_bytes) delete files.max_bytes;
    return files;
  },

  // A problem belongs to the part whose place is the longest beginning of its own; the others are given back.
  share(rule, problems) {
    const parts = [rule.when, ...this.MAPPINGS.flatMap((name) => [rule[name], ...rule[name].map((row) => row.when)]), rule.lookups, rule.delays].flat();
    const found = new Map(parts.map((part) => [part, []]));
    const rest = [];
    for (const problem of problems) {
      const { place, sentence } = problem;
      const fits = parts.filter((part) => place === part._place || place.startsWith(`${part._place}.`));
      const owner = fits.sort((one, other) => other._place.length - one._place.length)[0];
      if (owner) found.get(owner).push(sentence);
      else rest.push(problem);
    }
    for (const [part, said] of found) part._problems = [...new Set(said)];
    return rest;
  },
};
