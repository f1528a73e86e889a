// The message queue: asks for its rows again every few seconds, unless somebody is reading or choosing; keyboard.
const EVERY = 3000;

document.addEventListener("alpine:init", () => {
  Alpine.data("queue", () => ({
    stopped: false, // by the person
    inside: false, // the pointer or the focus is on the rows
    place: -1,
    shown: "",

    init() {
      this.onKey = (event) => this.key(event);
      document.addEventListener("keydown", this.onKey, true); // before the search of all pages
      this.timer = setInterval(() => this.refresh(), EVERY);
      this.say();
      window.addEventListener("scroll", () => this.say(), { passive: true });
    },
    destroy() {
      clearInterval(this.timer);
      document.removeEventListener("keydown", this.onKey, true);
    },

    isChoosing() { return this.rows().some((row) => this.box(row)?.checked); },
    reason() {
      if (this.stopped) return "paused";
      if (this.isChoosing()) return "paused while you choose";
      if (window.scrollY > 80) return "paused while you read";
      if (this.inside || this.place >= 0) return "paused while you are on the list";
      return "";
    },
    say() {
      if (!this.$refs.live) return;
      const reason = this.reason();
      this.$refs.live.textContent = reason ? `‖ ${reason}` : "● live";
      this.$refs.live.classList.toggle("oi-live-paused", Boolean(reason));
    },
    toggle() { this.stopped = !this.stopped; this.say(); },
    enter() { this.inside = true; this.say(); },
    leave() { this.inside = false; this.say(); },

    async refresh() {
      this.say();
      if (!this.$refs.live || document.hidden || this.reason()) return;
      const answer = await fetch(window.location.href, { headers: { "X-Feed": "rows" } }).catch(() => null);
      if (!answer || !answer.ok || answer.redirected) return this.lost();
      const html = await answer.text();
      if (html === this.shown || this.reason()) return;
      this.shown = html;
      const known = new Set(this.rows().map((row) => row.dataset.key));
      this.$refs.rows.innerHTML = html;
      this.rows().filter((row) => !known.has(row.dataset.key)).forEach((row) => row.classList.add("oi-new"));
    },
    lost() { this.$refs.live.textContent = "○ no answer, trying again"; },

    narrow(event) { if (event.target.name !== "q") this.$refs.filters.requestSubmit(); },
    rows() { return [...this.$refs.rows.querySelectorAll("tr[data-key]")]; },
    box(row) { return row.querySelector("input[name=message]"); },
    count() {
      if (!this.$refs.bulk) return;
      const number = this.rows().filter((row) => this.box(row).checked).length;
      this.$refs.bulk.hidden = number === 0;
      this.$refs.number.textContent = `${number} chosen`;
      this.say();
    },
    move(step) {
      const rows = this.rows();
      if (!rows.length) return;
      rows[this.place]?.classList.remove("oi-here");
      this.place = Math.min(Math.max(this.place + step, 0), rows.length - 1);
      rows[this.place].classList.add("oi-here");
      rows[this.place].scrollIntoView({ block: "nearest" });
      this.say();
    },
    current() { return this.rows()[this.place]; },
    open() { this.current()?.querySelector(".oi-row-link").click(); },
    choose() {
      const row = this.current();
      if (!row || !this.box(row)) return;
      this.box(row).checked = !this.box(row).checked;
      this.count();
    },
    retry() {
      if (!this.$refs.retry) return;
      if (!this.isChoosing()) this.choose();
      if (this.isChoosing()) this.$refs.retry.click();
    },
    help() { this.$refs.help.showModal(); },
    leaveList() { this.current()?.classList.remove("oi-here"); this.place = -1; this.say(); },

    key(event) {
      const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = {
        "/": () => this.$refs.search.focus(), j: () => this.move(1), k: () => this.move(-1),
        Enter: () => this.open(), x: () => this.choose(), r: () => this.retry(), p: () => this.toggle(),
        "?": () => this.help(), Escape: () => this.leaveList(),
      }[event.key];
      if (!act || (event.key === "Enter" && event.target.closest("a, button, summary"))) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      act();
    },
  }));
});
