// The page of a replay: while it is planned, runs or has deliveries on their way, what changes is asked for again every two seconds.
const REPLAY_EVERY = 2000;

document.addEventListener("alpine:init", () => {
  Alpine.data("replay", () => ({
    init() { this.timer = setInterval(() => this.refresh(), REPLAY_EVERY); },
    destroy() { clearInterval(this.timer); },

    async refresh() {
      if (document.hidden || !this.$refs.live.querySelector("[data-at-work]")) return;
      const answer = await fetch(window.location.href, { headers: { "X-Feed": "replay" } }).catch(() => null);
      if (answer && answer.ok && !answer.redirected) this.$refs.live.innerHTML = await answer.text();
    },
  }));
});
