// The mapping editor: holds the rule, tries it on a sample as one types, saves it as a draft.
const PREVIEW_AFTER = 300;
const PLAIN = ["name", "owner", "priority", "operations"]; // their problems stand beside them

document.addEventListener("alpine:init", () => {
  const given = JSON.parse(document.getElementById("editor-state").textContent);

  Alpine.data("editor", () => ({
    ...given,
    doc: EditorModel.rule(given.rule, given.defaults),
    tab: "outgoing",
    sample: null, answer: null, unsaved: {}, problems: [], rest: [],
    sourceTerm: "", targetTerm: "", trouble: "", conflict: false, said: "", saved: "", picked: "",
    asked: 0,

    init() {
      EditorModel.kinds = this.kinds;
      this.samples = this.samples.map((one) => this.titled(one));
      this.sample = this.samples[0]?.id ?? null;
      this.saved = this.text();
      this.preview();
    },

    // What is edited.
    get isWhen() { return this.tab === "when"; },
    get isLookups() { return this.tab === "lookups"; },
    get hasNoLookups() { return !this.doc.lookups.length; },
    get isMapping() { return EditorModel.MAPPINGS.includes(this.tab); },
    get isAttachments() { return this.tab === "attachments"; },
    get isDelay() { return this.tab === "delay"; },
    get isMore() { return this.tab === "more"; },
    get rows() { return this.isMapping ? this.doc[this.tab] : []; },
    get hasNoRows() { return this.isMapping && !this.rows.length; },
    get emptyWord() {
      return {
        outgoing: "Nothing is sent yet. Choose a field on the right, or type its name below.",
        variables: "No variable yet. One is worked out first and read by later rows as variables.name.",
        conversation: "Nothing is kept with the ticket yet. What is kept here is read by later messages as conversation.name.",
      }[this.tab];
    },
    get targetHeading() { return { outgoing: "To", variables: "Variable", conversation: "Variable" }[this.tab] || "To"; },
    get addLabel() { return this.tab === "outgoing" ? "Add a field of the target, then Enter" : "Add a variable by its name, then Enter"; },
    get addList() { return this.tab === "outgoing" ? "editor-targets" : null; },
    get tableNames() { return Object.keys(this.tables).sort(); },
    get sourceNames() { return this.sourceShownOf("").map((one) => ({ name: one.name, hint: one.value || one.title })); },
    get targetNames() { return (this.target?.attributes || []).map((one) => ({ name: one.name, hint: one.label })); },

    text() { return JSON.stringify(EditorModel.document(this.doc, this.operators)); },
    get isClean() { return this.saved === this.text(); },
    get hasNothing() { return this.isClean && !this.draft; },
    get saveWord() { return this.isClean ? (this.draft ? "All changes saved" : "") : "Not saved yet"; },
    get versionWord() { return this.draft ? `Draft of v${this.number}` : `v${this.number} counts; your first save makes a draft`; },
    get versionTone() { return this.draft ? "oi-amber" : "oi-grey"; },

    changed(event) {
      if (event && event.target && "quiet" in event.target.dataset) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.preview(), PREVIEW_AFTER);
    },
    say(sentence) { this.said = ""; this.$nextTick(() => { this.said = sentence; }); },

    // The two sides.
    get read() { return this.readBy(this.doc); },
    readBy(doc) {
      const rows = EditorModel.MAPPINGS.flatMap((name) => doc[name]);
      const texts = rows.flatMap((row) => [row.source, row._sources, row.template, ...row.when.map((one) => one.attribute)]);
      texts.push(...doc.lookups.flatMap((row) => row._criteria.map((one) => one.template)));
      return [...texts, ...doc.when.map((one) => one.attribute)].join(" ").toLowerCase();
    },
    sourceShownOf(term) {
      const values = this.answer?.sample?.attributes || {};
      const known = new Map(this.source.attributes.map((one) => [one.name, one]));
      for (const name of Object.keys(values)) if (!known.has(name)) known.set(name, { name, label: name, type: "", choices: [], meaning: "" });
      const read = this.read;
      const found = [...known.values()].map((one) => ({
        ...one, value: values[one.name] || "", used: new RegExp(`\\b${one.name.replace(/[^\w]/g, "\\$&")}\\b`, "i").test(read),
        title: [one.label, one.type, one.meaning, one.choices.slice(0, 12).join(", ")].filter(Boolean).join(" · "),
      }));
      const wanted = term.trim().toLowerCase();
      const fitting = wanted ? found.filter((one) => `${one.name} ${one.label} ${one.value}`.toLowerCase().includes(wanted)) : found;
      return fitting.sort((one, other) => Boolean(other.value) - Boolean(one.value));
    },
    get sourceShown() { return this.sourceShownOf(this.sourceTerm); },
    get sourceIsEmpty() { return this.sourceShown.length === 0; },
    get filled() {
      return new Set(this.doc.outgoing.flatMap((row) => [row.target, ...EditorModel.parts(row._targets, ",")]).map((name) => name.toLowerCase()));
    },
    get targetShown() {
      const wanted = this.targetTerm.trim().toLowerCase();
      const all = (this.target?.attributes || []).map((one) => ({
        ...one, used: this.filled.has(one.name.toLowerCase()),
        title: [one.meaning, one.choices.slice(0, 20).join(", ")].filter(Boolean).join(" · ") || one.label,
      }));
      const fitting = wanted ? all.filter((one) => `${one.name} ${one.label}`.toLowerCase().includes(wanted)) : all;
      return fitting.sort((one, other) => other.mandatory - one.mandatory);
    },
    get mandatoryWord() {
      if (!this.doc.operations.includes("create")) return "This rule creates nothing: no field is mandatory.";
      const left = this.targetShown.filter((one) => one.mandatory && !one.used).map((one) => one.label.toLowerCase());
      if (!left.length) return "All mandatory fields are filled.";
      return `${left.length} mandatory ${left.length === 1 ? "field" : "fields"} left: ${left.join(", ")}`;
    },
    formatterOf(name) { return this.formatters[name] || { label: name, help: "", arguments: [] }; },
    offerChoices(name) { return this.offer((this.target?.attributes || []).find((one) => one.name === name)?.choices); },
    offerValues(name) { return this.offer(this.source.attributes.find((one) => one.name === name)?.choices); },
    offer(choices) {
      if (!choices?.length) return null;
      const id = `editor-choices-${choices.join("|").length}-${choices.length}`;
      if (!document.getElementById(id)) {
        const list = document.createElement("datalist");
        list.id = id;
        choices.forEach((choice) => list.append(new Option(choice, choice)));
        document.body.append(list);
      }
      return id;
    },

    // Rows come and go.
    add(fields) {
      const row = EditorModel.mapping(fields, this.defaults);
      this.rows.push(row);
      this.focusRow(row, fields.source ? "[data-last]" : "[data-first]");
      this.changed();
    },
    named(text) {
      const typed = text.toLowerCase();
      const fits = (this.target?.attributes || []).find((one) => [one.name, one.label].some((word) => word.toLowerCase() === typed));
      return fits ? fits.name : text;
    },
    sameAs(target) { return this.sourceNames.some((one) => one.name === target) ? target : ""; },
    addTyped() {
      const text = this.$refs.add.value.trim();
      if (!text) { this.$refs.add.focus(); return; }
      this.$refs.add.value = "";
      const target = this.tab === "outgoing" ? this.named(text) : text;
      this.add({ target, source: this.sameAs(target) });
    },
    addFrom(event) {
      const source = event.currentTarget.dataset.name;
      if (this.isWhen) {
        this.doc.when.push(EditorModel.condition({ attribute: source }, this.defaults, 0, ""));
        this.changed();
        return;
      }
      if (!this.isMapping) this.tab = "outgoing";
      const fits = (this.target?.attributes || []).some((one) => one.name === source) && !this.filled.has(source);
      this.add({ source, target: fits && this.tab === "outgoing" ? source : "" });
    },
    addTo(event) {
      const target = event.currentTarget.dataset.name;
      this.tab = "outgoing";
      const there = this.rows.find((row) => row.target.toLowerCase() === target.toLowerCase());
      if (there) { this.focusRow(there); return; }
      this.add({ target, source: this.sameAs(target) });
    },
    addLookup() {
      this.doc.lookups.push(EditorModel.lookup({ criteria: [{ attribute: "", template: "" }] }, this.defaults));
      this.$nextTick(() => [...document.querySelectorAll(".oi-editor-lookup")].at(-1).querySelector("input").focus());
      this.changed();
    },
    addDelay() { this.doc.delays.push(EditorModel.delay({ kind: "time", seconds: 300 }, this.defaults)); this.changed(); },
    move(row, by) {
      const at = this.rows.indexOf(row);
      if (at < 0 || at + by < 0 || at + by >= this.rows.length) return;
      const focused = document.activeElement;
      this.rows.splice(at + by, 0, ...this.rows.splice(at, 1));
      this.$nextTick(() => focused?.focus());
      this.changed();
    },
    focusRow(row, wanted = "[data-first]") {
      if (!row) { this.$refs.add.focus(); return; }
      this.$nextTick(() => {
        const place = document.querySelector(`tbody[data-row="${row._id}"]`);
        (place?.querySelector(wanted) || place?.querySelector("[data-first], [data-last]"))?.focus();
      });
    },

    // Trying it on a sample.
    titled(one) { return { ...one, title: `${one.number || "#" + one.id} · ${one.operation} · ${one.when}` }; },
    get hasNoSample() { return this.sample === null; },
    get whyNoSample() { return this.mayRead ? "No message of this source has come in yet: results appear with the first." : "You may not read what tickets say, so there are no values."; },
    get hasAnswer() { return this.answer?.matched !== undefined; },
    get matchWord() { return this.answer?.matched ? "matches this sample" : "does not match this sample"; },
    get matchIcon() { return this.answer?.matched ? "check_circle" : "do_not_disturb_on"; },
    get matchTone() { return this.answer?.matched ? "oi-green" : "oi-grey"; },
    get problemCount() { return this.problems.length; },
    get problemWord() { return `${this.problems.length} ${this.problems.length === 1 ? "thing" : "things"} to correct`; },
    choose(event) { this.sample = Number(event.target.value); this.preview(); },
    async find() {
      const ticket = this.$refs.ticket.value.trim();
      const answer = await fetch(`${this.urls.samples}?${new URLSearchParams({ ticket })}`).catch(() => null);
      const found = answer?.ok ? (await answer.json()).samples : [];
      if (!found.length) { this.say(`No message about ${ticket} from this source.`); this.trouble = `No message about ${ticket} came from this source.`; return; }
      this.trouble = "";
      this.samples = [...found.map((one) => this.titled(one)), ...this.samples.filter((one) => !found.some((other) => other.id === one.id))];
      this.sample = found[0].id;
      this.$nextTick(() => { this.$refs.sample.value = String(this.sample); });
      this.preview();
    },
    async preview() {
      const number = ++this.asked;
      const rule = EditorModel.document(this.doc, this.operators);
      const answer = await this.send(this.urls.preview, { rule, sample: this.sample, tables: this.unsaved });
      if (number !== this.asked || !answer) return;
      this.answer = answer;
      this.show(answer);
    },
    show(answer) {
      this.problems = answer.problems || [];
      this.rest = EditorModel.share(this.doc, this.problems);
      const given = new Map((answer.given || []).map((one) => [one.place, one]));
      const answers = new Map((answer.answers || []).map((one) => [one.place, one]));
      const rows = EditorModel.MAPPINGS.flatMap((name) => this.doc[name]);
      for (const row of rows) row._result = given.get(row._place) || null;
      for (const node of [...this.doc.when, ...rows.flatMap((row) => row.when)]) node._answer = answers.get(node._place) || null;
      const looked = new Map((answer.lookups || []).map((one) => [one.place, one]));
      for (const row of this.doc.lookups) row._answer = looked.get(row._place) || null;
      this.trouble = answer.unreadable || this.rest.filter((one) => !PLAIN.includes(one.place)).map((one) => one.sentence).join(" ");
    },
    tabOf(place) {
      const name = place.split(/[.[]/)[0];
      if (["when", "lookups", "attachments", ...EditorModel.MAPPINGS].includes(name)) return name;
      return name === "delays" ? "delay" : "more";
    },
    correct() {
      this.tab = this.tabOf(this.problems[0].place);
      const row = this.rows.find((one) => one._problems.length || one.when.some((node) => node._problems.length));
      if (row) { row._open ||= !row._problems.length; this.focusRow(row); }
    },
    get hasFindings() { return this.findings.length > 0; },
    get requests() { return this.answer?.requests || []; },
    get hasRequests() { return this.requests.length > 0; },
    get likely() {
      const begins = this.answer?.sample?.operation === "comment" ? "Comment" : this.answer?.action === "update" ? "Update" : "Create";
      return this.requests.find((one) => one.title.startsWith(begins)) || this.requests[0];
    },
    get shownRequests() {
      const wanted = this.requests.find((one) => one.title === this.picked) || this.likely;
      if (!wanted) return [];
      const steps = wanted.steps.map((step, key) => {
        const query = new URLSearchParams(step.query).toString();
        const text = typeof step.body === "string" ? step.body : step.body === null ? "" : JSON.stringify(step.body, null, 2);
        return { key, method: step.method, address: query ? `${step.path}?${query}` : step.path, text };
      });
      return [{ problem: "", note: "", said: [], ...wanted, steps }];
    },

    // Tables that stand changed in their dialog count for the preview.
    withTable(name, table) { if (name) this.unsaved = { ...this.unsaved, [name]: table }; this.changed(); },
    keepTable(name, table) {
      this.tables = { ...this.tables, [name]: table };
      const { [name]: _, ...others } = this.unsaved;
      this.unsaved = others;
    },

    // Saving.
    async send(url, content) {
      const token = document.cookie.match(/csrftoken=([^;]+)/)?.[1] || "";
      const answer = await fetch(url, {
        method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      }).catch(() => null);
      if (!answer || answer.redirected || !answer.headers.get("Content-Type")?.includes("json")) {
        this.trouble = "oneio does not answer, or you are signed out. Your changes are still here; sign in in another window, then save.";
        return null;
      }
      return answer.json();
    },
    async save() {
      if (this.isClean && this.draft) return true;
      const text = this.text();
      const answer = await this.send(this.urls.save, { rule: JSON.parse(text), fingerprint: this.fingerprint });
      if (!answer) return false;
      this.conflict = Boolean(answer.conflict);
      if (!answer.saved) {
        this.trouble = answer.conflict || "";
        if (answer.problems) this.show({ ...this.answer, problems: answer.problems });
        if (!answer.conflict) this.say("Not saved: correct what is marked.");
        return false;
      }
      Object.assign(this, { saved: text, fingerprint: answer.fingerprint, number: answer.number, compare: answer.compare, findings: answer.findings, draft: true, trouble: "" });
      this.say("Draft saved.");
      return true;
    },
    async publish(event) {
      const address = event.currentTarget.dataset.href;
      if (await this.save()) { this.saved = this.text(); window.location.href = address; }
    },
    reload() { this.saved = this.text(); window.location.reload(); },
    leaving(event) { if (!this.isClean) event.preventDefault(); },
    help() { this.$refs.help.showModal(); },

    key(event) {
      if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); this.save(); return; }
      if (!event.altKey) return;
      if (event.key === "n") { event.preventDefault(); if (!this.isMapping) this.tab = "outgoing"; this.$nextTick(() => this.$refs.add.focus()); }
      const row = this.rows.find((one) => String(one._id) === event.target.closest?.("tbody[data-row]")?.dataset.row);
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (row && by) { event.preventDefault(); this.move(row, by); }
    },
  }));
  Alpine.data("requestTab", () => ({
    get isPicked() { return this.shownRequests[0]?.title === this.one.title; },
    get look() { return this.isPicked ? "oi-editor-picked" : ""; },
    pick() { this.picked = this.one.title; },
  }));
});
