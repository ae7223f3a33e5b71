// Tabs following the ARIA authoring practices: arrow keys move, one panel is visible.

export class Tabs {
  /** @param {(name: string) => void} onOpen a panel is shown */
  constructor(list, onOpen) {
    this.tabs = [...list.querySelectorAll('[role="tab"]')];
    this.onOpen = onOpen;
    list.addEventListener("click", (event) => {
      const tab = event.target.closest('[role="tab"]');
      if (tab) this.show(tab.getAttribute("aria-controls"));
    });
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show a panel by its name. */
  show(name) {
    this.open = name;
    for (const tab of this.tabs) {
      const panel = tab.getAttribute("aria-controls");
      tab.setAttribute("aria-selected", String(panel === name));
      tab.tabIndex = panel === name ? 0 : -1;
      document.getElementById(panel).hidden = panel !== name;
      if (panel === name) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.onOpen(name);
  }

  /** Show a panel by its index, and focus its tab. */
  go(index) {
    const tab = this.tabs.at(index);
    this.show(tab.getAttribute("aria-controls"));
    tab.focus();
  }

  #key(event) {
    const here = this.tabs.indexOf(document.activeElement);
    const count = this.tabs.length;
    const to = {
      ArrowRight: (here + 1) % count,
      ArrowLeft: (here - 1 + count) % count,
      Home: 0,
      End: count - 1,
    }[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault();
    this.go(to);
  }
}
