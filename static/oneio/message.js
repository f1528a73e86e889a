// The page of a message: its values, of which those that no rule reads wait for "See all" or for a search.
document.addEventListener("alpine:init", () => {
  Alpine.data("searchable", () => ({
    isOpen: false,

    init() {
      const extra = this.rows().filter((row) => "extra" in row.dataset).length;
      this.isOpen = extra === 0 || extra === this.rows().length;
      this.narrow();
    },
    rows() { return [...this.$root.querySelectorAll("[data-find]")]; },
    all() { this.isOpen = true; this.narrow(); },
    narrow() {
      const term = this.$refs.term.value.trim().toLowerCase();
      let shown = 0;
      for (const row of this.rows()) {
        const fits = term ? row.textContent.toLowerCase().includes(term) : this.isOpen || !("extra" in row.dataset);
        row.hidden = !fits;
        shown += fits;
      }
      this.$refs.nothing.hidden = shown > 0 || !term;
      this.$refs.all.parentElement.hidden = this.isOpen || Boolean(term);
      this.$refs.all.textContent = `See all ${this.rows().length} values`;
    },
  }));
});
