"use strict";
/* The review pages: changes of matches one after the other, drag and drop, keys, the player. Everything hangs on the
   document, so that a body which HTMX swaps in needs no second start. Hooks:
   data-choice / data-empty   a slot's select / button;  [data-slot] the slot's row;  [data-layer] a layer that is dragged
   data-undo="url"            takes back the newest change
   data-after-changes         form that is sent when no change is under way any more
   data-key="a"               element that is clicked by a key (never while somebody types)
   data-open                  <dialog> that opens by itself;  data-focus  takes the focus when it appears
   data-count="10"            textarea whose missing characters are told in [data-count-words] beside it
   data-player                the video with its tabs, steps, speed and wipe */
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const typing = (element) => element.closest?.("input:not([type=range]):not([type=radio]), textarea, select, [contenteditable]");

  // Changes: each is sent with the version that the one before it left behind --------------------------------------
  const waiting = [];
  let busy = false;
  let sendAfterwards = null;
  const change = (url, values) => {
    waiting.push({ url, values });
    if (!busy) work();
  };
  const work = async () => {
    busy = true;
    document.body.classList.add("is-changing");
    while (waiting.length) {
      const { url, values } = waiting.shift();
      const form = one("#amend-form");
      if (!form) break;
      await window.htmx.ajax("POST", url, {
        source: form, target: form, swap: "none",
        values: { ...values, version: one("[name=version]", form).value, page: "matching" },
      }).catch(() => undefined);
    }
    waiting.length = 0;
    busy = false;
    document.body.classList.remove("is-changing");
    const submit = sendAfterwards;
    sendAfterwards = null;
    if (submit?.isConnected) submit.form.requestSubmit(submit);
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    // A refused change voids those that were made after it: the page shows what is true now.
    if (event.target.id === "amend-form" && !event.detail.successful) {
      waiting.length = 0;
      sendAfterwards = null;
    }
  });
  const amend = (slot, layer) => change(one("#amend-form").dataset.url, { slot_id: slot, layer_id: layer });
  document.addEventListener("change", (event) => {
    const select = event.target.closest("[data-choice]");
    if (select) amend(select.closest("[data-slot]").dataset.slot, select.value);
  });
  // What was chosen before this ran. What a browser kept from an earlier visit is no choice: autocomplete is off.
  all("[data-choice]").forEach((select) => {
    const shown = [...select.options].find((option) => option.defaultSelected) ?? select.options[0];
    if (select.selectedOptions[0] !== shown) select.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("click", (event) => {
    const empty = event.target.closest("[data-empty]");
    if (empty) amend(empty.closest("[data-slot]").dataset.slot, "");
    const undo = event.target.closest("[data-undo]");
    if (undo) change(undo.dataset.undo, {});
  });
  document.addEventListener("submit", (event) => {
    if (!busy || !event.target.matches("[data-after-changes]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    sendAfterwards = event.submitter;
  }, true);

  // Drag and drop -----------------------------------------------------------------------------------------------------
  let dragged = null;
  const fits = (slot) => dragged && slot && slot.dataset.kind === dragged.dataset.kind;
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-layer]");
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.layer);
    dragged.classList.add("is-dragging");
    all("[data-slot]").forEach((slot) => slot.classList.toggle("is-unfit", !fits(slot)));
  });
  document.addEventListener("dragover", (event) => {
    const slot = event.target.closest?.("[data-slot]");
    all("[data-slot].is-over").forEach((other) => other.classList.toggle("is-over", other === slot));
    if (!fits(slot)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    slot.classList.add("is-over");
  });
  document.addEventListener("drop", (event) => {
    const slot = event.target.closest?.("[data-slot]");
    if (!fits(slot)) return;
    event.preventDefault();
    amend(slot.dataset.slot, dragged.dataset.layer);
  });
  document.addEventListener("dragend", () => {
    dragged?.classList.remove("is-dragging");
    dragged = null;
    all("[data-slot]").forEach((slot) => slot.classList.remove("is-over", "is-unfit"));
  });

  // Keys --------------------------------------------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key === "a") return;
    if (typing(event.target) || one("dialog[open]")) return;
    if (event.key === "?") {
      one("#keys-dialog")?.showModal();
      return;
    }
    if (event.key === " " && one("[data-player]") && !event.target.closest("button, a, summary, video")) {
      event.preventDefault();
      toggle();
      return;
    }
    const target = all("[data-key]").find((element) => element.dataset.key === event.key && element.offsetParent);
    if (!target) return;
    event.preventDefault();
    target.focus({ preventScroll: true });
    target.click();
  });
  document.addEventListener("click", (event) => {
    const walk = event.target.closest("[data-walk-focus]");
    if (!walk) return;
    event.preventDefault();
    document.getElementById(walk.dataset.walkFocus)?.focus();
  });

  // Dialogs that open by themselves, notices that are read out, missing characters -------------------------------------
  const attend = () => {
    all("dialog[data-open]:not([open])").forEach((dialog) => {
      dialog.removeAttribute("data-open");
      dialog.showModal();
    });
    one("[data-focus]")?.focus({ preventScroll: true });
    all("[data-count]").forEach(tell);
    prepare(one("[data-player]"));
  };
  const tell = (area) => {
    const missing = Number(area.dataset.count) - area.value.trim().length;
    const words = one("[data-count-words]", area.closest(".field"));
    if (words) words.textContent = missing > 0 ? `${missing} to go` : "enough";
    area.setCustomValidity(missing > 0 ? `${missing} more characters are needed.` : "");
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-count]")) tell(event.target);
    if (event.target.matches("[data-wipe-range]")) wipe(event.target.value);
  });

  // The player ---------------------------------------------------------------------------------------------------------
  const video = () => one("#player");
  const over = () => one("#player-over");
  const rate = () => Number(one("[data-player]")?.dataset.frameRate) || 25;
  const toggle = () => (video().paused ? video().play().catch(() => undefined) : video().pause());
  const step = (frames) => {
    const player = video();
    player.pause();
    const frame = Math.floor(player.currentTime * rate() + 0.01) + frames;
    const last = Math.max(0, Math.round((player.duration || 0) * rate()) - 1);
    // The middle of a frame: its edge may be shown as the frame before it.
    player.currentTime = (Math.min(last, Math.max(0, frame)) + 0.5) / rate();
  };
  const wipe = (percent) => over().style.setProperty("--wipe", `${percent}%`);
  const follow = () => {
    const player = video();
    const other = over();
    if (!other || other.hidden) return;
    other.playbackRate = player.playbackRate;
    if (Math.abs(other.currentTime - player.currentTime) > 0.6 / rate()) other.currentTime = player.currentTime;
    if (player.paused !== other.paused) player.paused ? other.pause() : other.play().catch(() => undefined);
  };
  const choose = (tab) => {
    const player = video();
    const { currentTime, paused, playbackRate } = player;
    const wiping = "wipe" in tab.dataset;
    one(".player-wipe").hidden = !wiping;
    over().hidden = !wiping;
    if (wiping && over().getAttribute("src") !== tab.dataset.over) over().src = tab.dataset.over;
    if (!wiping) over().pause();
    else wipe(one("[data-wipe-range]").value);
    one("#video-frame").setAttribute("aria-labelledby", tab.id);
    all("[role=tab]", tab.parentElement).forEach((other) => {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
    });
    if (player.getAttribute("src") === tab.dataset.src) return;
    player.addEventListener("loadedmetadata", () => {
      player.currentTime = Math.min(currentTime, player.duration || currentTime);
      player.playbackRate = playbackRate;
      if (!paused) player.play().catch(() => undefined);
    }, { once: true });
    player.src = tab.dataset.src;
  };
  const time = () => {
    const player = video();
    const words = one("[data-time]");
    if (!player || !words) return;
    words.textContent = `${player.currentTime.toFixed(2)} s · frame ${Math.floor(player.currentTime * rate() + 0.01)}`;
    follow();
  };
  const prepare = (box) => {
    const player = box && video();
    if (!player || player.dataset.ready) return;
    player.dataset.ready = "yes";
    ["timeupdate", "seeked", "play", "pause", "ratechange", "loadedmetadata"].forEach((name) => player.addEventListener(name, time));
    player.addEventListener("error", () => one("#video-frame").classList.add("cannot-play"));
    if (player.error) one("#video-frame").classList.add("cannot-play");
    const frames = () => {
      if (!player.isConnected) return;
      if (!player.paused) time();
      requestAnimationFrame(frames);
    };
    frames();
    player.play().catch(() => undefined);
  };
  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-videos] [role=tab]");
    if (tab) choose(tab);
    const stepper = event.target.closest("[data-step]");
    if (stepper) step(Number(stepper.dataset.step));
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("[data-videos] [role=tab]");
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !way) return;
    const tabs = all("[role=tab]", tab.parentElement);
    const next = tabs[(tabs.indexOf(tab) + way + tabs.length) % tabs.length];
    next.focus();
    choose(next);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-rate]")) video().playbackRate = Number(event.target.value);
  });

  attend();
  document.addEventListener("htmx:afterSettle", attend);
})();
