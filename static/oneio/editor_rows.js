// The parts of the mapping editor that stand in rows: mappings, formatters, conditions, delays.
document.addEventListener("alpine:init", () => {
  Alpine.data("tab", () => ({
    get name() { return this.$root.dataset.tab; },
    get current() { return this.tab === this.name ? "true" : null; },
    get count() {
      const rows = this.doc[this.name === "delay" ? "delays" : this.name];
      return `${Array.isArray(rows) && rows.length ? rows.length : ""}${this.isWrong ? " !" : ""}`;
    },
    get isWrong() { return this.problems.some((one) => this.tabOf(one.place) === this.name); },
    get tone() { return this.isWrong ? "oi-error" : ""; },
    open() { this.tab = this.name; },
  }));
  Alpine.data("finding", () => ({
    get tone() { return { error: "oi-red", warning: "oi-amber" }[this.one.severity] || "oi-grey"; },
  }));
  Alpine.data("problem", () => ({
    get sentence() { return this.rest.find((one) => one.place === this.$root.dataset.at)?.sentence || ""; },
  }));

  Alpine.data("mapping", () => ({
    get uses() { return this.kinds[this.row.kind]?.uses || []; },
    get usesSource() { return this.row.kind === "append" ? !this.row.template : this.uses.includes("source"); },
    get usesTemplate() { return this.row.kind === "append" ? !this.usesSource : this.uses.includes("template"); },
    get usesConstant() { return this.uses.includes("constant"); },
    get usesCounter() { return this.uses.includes("counter"); },
    get usesTable() { return this.uses.includes("table"); },
    get usesSeparator() { return this.uses.includes("separator"); },
    get usesFurtherSources() { return this.uses.includes("further_sources") && (!this.usesTable || this.isWide); },
    get usesFurtherTargets() { return this.uses.includes("further_targets") && (!this.usesTable || this.isWide); },
    get usesDefault() { return this.row.missing === "default"; },
    get isWide() { return this.usesTable && Boolean(this.tables[this.row.table]?.inputs.length); },
    get isOpen() { return this.row._open; },
    get hasProblems() { return this.row._problems.length > 0; },
    get rowClass() { return this.hasProblems ? "oi-editor-bad" : ""; },
    get targetList() { return this.tab === "outgoing" ? "editor-targets" : null; },
    get choiceList() { return this.offerChoices(this.row.target); },
    get isChosenTable() { return this.name === this.row.table; },
    get hasOptions() {
      const { only_on, missing, separator, _sources, _targets, when, ownership } = this.row;
      return Boolean(only_on || missing !== "skip" || separator || _sources || _targets || when.length || ownership !== "source");
    },
    get optionTone() { return this.hasOptions ? "oi-editor-set" : ""; },

    get resultText() {
      const result = this.row._result;
      if (!result) return "";
      if (result.fate === "cleared") return "cleared";
      if (result.fate !== "value") return result.why;
      const values = Object.values(result.values);
      return values.length === 1 ? values[0] || "empty" : values.join(" · ");
    },
    get resultTitle() { return this.row._result?.why ? `${this.resultText}\n(${this.row._result.why})` : this.resultText; },
    get resultTone() {
      const fate = this.row._result?.fate;
      return { failed: "oi-error", value: "oi-strong" }[fate] || "oi-muted";
    },

    toggle() { this.row._open = !this.row._open; },
    openFormatters() {
      this.row._open = true;
      this.$nextTick(() => this.$root.querySelector("[data-formatter]").focus());
    },
    kindChanged() { if (this.row.kind === "append" && !this.row.source) this.row.template ||= "{{ }}"; },
    tableChosen() { if (this.row.table === "+") { this.row.table = ""; this.openTable(); } },
    openTable() { this.$dispatch("open-table", { row: this.row, target: this.row.target }); },
    addFormatter(event) {
      const name = event.target.value;
      event.target.value = "";
      if (!name) return;
      const given = this.formatters[name].arguments.map((one) => [one.name, one.default]);
      this.row.formatters.push({ _id: EditorModel.id(), name, arguments: Object.fromEntries(given) });
    },
    remove() {
      const at = this.rows.indexOf(this.row);
      this.rows.splice(at, 1);
      this.focusRow(this.rows[Math.min(at, this.rows.length - 1)]);
      this.changed();
    },
    twin() {
      const made = EditorModel.mapping(EditorModel.written(this.row, this.operators, this.row._place), this.defaults);
      this.rows.splice(this.rows.indexOf(this.row) + 1, 0, made);
      this.focusRow(made);
      this.changed();
    },
    up() { this.move(this.row, -1); },
    down() { this.move(this.row, 1); },
  }));

  Alpine.data("chip", () => ({
    get known() { return this.formatterOf(this.step.name); },
    get help() { return this.known.help; },
    get words() {
      const said = this.known.arguments.map((one) => this.step.arguments[one.name]);
      const shown = said.filter((value) => value !== "" && value !== undefined && typeof value !== "boolean");
      return [this.known.label, ...shown].join(" ");
    },
  }));
  Alpine.data("formatter", () => ({
    get known() { return this.formatterOf(this.step.name); },
    get help() { return this.known.help; },
    get label() { return this.known.label; },
    get parts() { return this.known.arguments; },
    shift(by) {
      const chain = this.row.formatters;
      const at = chain.indexOf(this.step);
      if (at + by < 0 || at + by >= chain.length) return;
      chain.splice(at + by, 0, ...chain.splice(at, 1));
      this.changed();
    },
    earlier() { this.shift(-1); },
    later() { this.shift(1); },
    drop() { this.row.formatters.splice(this.row.formatters.indexOf(this.step), 1); this.changed(); },
  }));
  Alpine.data("argument", () => ({
    get value() { return this.step.arguments[this.one.name]; },
    set value(given) { this.step.arguments[this.one.name] = given; },
    get isFlag() { return this.one.type === "flag"; },
    get isChoice() { return this.one.type === "choice"; },
    get isText() { return !this.isFlag && !this.isChoice; },
    get isSelected() { return this.choice === this.value; },
  }));

  Alpine.data("conditions", () => ({
    ofRow: false,
    init() { this.ofRow = this.$root.dataset.of === "row"; },
    get list() { return this.ofRow ? this.row.when : this.doc.when; },
    make(depth, group) { return EditorModel.condition({}, this.defaults, depth, group); },
    addOne() { this.insert(this.list.length, this.make(0, "")); },
    addGroup() {
      const group = this.make(0, "any");
      this.list.push(group);
      this.insert(this.list.length, this.make(1, ""));
    },
    insert(at, node) {
      this.list.splice(at, 0, node);
      this.changed();
      const root = this.$root;
      this.$nextTick(() => root.querySelectorAll(".oi-editor-condition")[at]?.querySelector("input")?.focus());
    },
  }));
  Alpine.data("condition", () => ({
    get isGroup() { return Boolean(this.node.group); },
    get isSingle() { return !this.node.group; },
    get takes() { return this.operators[this.node.operator]?.takes; },
    get takesOne() { return this.takes === "value"; },
    get takesSeveral() { return this.takes === "values"; },
    get takesPair() { return this.takes === "pair"; },
    get operatorHelp() { return this.operators[this.node.operator]?.help; },
    get valueList() { return this.offerValues(this.node.attribute); },
    get indent() { return { marginLeft: `${this.node.depth * 26}px` }; },
    get holds() { return this.node._answer?.holds ?? null; },
    get verdict() { return this.holds === null ? "·" : this.holds ? "✓" : "✗"; },
    get verdictTitle() { return this.holds === null ? "Not tried yet" : this.holds ? "Holds for this sample" : "Does not hold for this sample"; },
    get tone() { return this.holds === null ? "oi-muted" : this.holds ? "oi-editor-yes" : "oi-editor-no"; },
    get actual() {
      const answer = this.node._answer;
      if (!answer || this.isGroup || !this.node.attribute) return "";
      return answer.missing ? "not in this message" : `is ${answer.actual || "empty"}`;
    },
    get at() { return this.list.indexOf(this.node); },
    get isInside() { return this.node.depth > 0; },
    get mayGoIn() {
      const above = this.list[this.at - 1];
      return Boolean(above) && this.node.depth < above.depth + (above.group ? 1 : 0);
    },
    get family() {
      const after = this.list.slice(this.at + 1);
      const end = after.findIndex((one) => one.depth <= this.node.depth);
      return [this.node, ...(end < 0 ? after : after.slice(0, end))];
    },
    shift(by) { this.family.forEach((one) => { one.depth += by; }); this.changed(); },
    into() { this.shift(1); },
    outdent() {
      // What leaves its group goes behind it, so that the rest of the group stays together.
      const family = this.family;
      const depth = this.node.depth;
      const from = this.at;
      this.list.splice(from, family.length);
      let end = this.list.findIndex((one, at) => at >= from && one.depth < depth);
      if (end < 0) end = this.list.length;
      family.forEach((one) => { one.depth -= 1; });
      this.list.splice(end, 0, ...family);
      this.changed();
    },
    drop() { this.list.splice(this.at, this.family.length); this.changed(); },
    addWithin() { this.insert(this.at + this.family.length, this.make(this.node.depth + 1, "")); },
  }));

  Alpine.data("delay", () => ({
    get isTime() { return this.row.kind === "time"; },
    get isVariable() { return this.row.kind === "variable"; },
    get takes() { return this.operators[this.row.operator]?.takes; },
    get takesOne() { return this.takes === "value"; },
    get takesSeveral() { return this.takes === "values"; },
    get takesPair() { return this.takes === "pair"; },
    get spelled() {
      const seconds = this.row.seconds || 0;
      const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"], [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
      return seconds < 60 ? "" : `: ${parts.filter(([number]) => number).map((part) => part.join(" ")).join(" ")}`;
    },
    kindChanged() {
      if (this.isTime) this.row.seconds ||= 300;
      if (this.isVariable) this.row.operator ||= "equals";
    },
    drop() { this.doc.delays.splice(this.doc.delays.indexOf(this.row), 1); this.changed(); },
  }));
});
