"use strict";
/* The files of form[data-upload], sent to the tus address in data-upload while the person goes on choosing: in pieces
   with a checksum, a few at once, again after a cut, and where they ended after a reload. The form is sent with their
   ids in file_ids. Without this script it sends the files themselves.
   data-upload-piece  bytes of a piece         data-upload-panel   what is hidden until there are files
   data-upload-list   the list of files        data-upload-row     <template> of a line in it
   data-upload-count, data-upload-bytes, data-upload-bar           what is here, in words (told to readers) and as a bar
   data-upload-pause, data-upload-folder, data-upload-forget       buttons */
(() => {
  const form = document.querySelector("form[data-upload]");
  if (!form || !window.Promise || !Blob.prototype.slice) return;
  const AT_ONCE = 3;
  const REMEMBERED_MS = 7 * 24 * 3600 * 1000;
  const STALLED_MS = 60 * 1000;
  const SLOW_ANSWER_MS = 600 * 1000;
  const WAITS_MS = [1000, 2000, 5000, 10000, 20000, 30000];
  const MEMORY = "aeproject.upload ";
  const pieceBytes = Number(form.dataset.uploadPiece);
  const find = (name) => form.querySelector(`[data-upload-${name}]`);
  const input = form.querySelector("input[type=file]");
  const zone = form.querySelector("[data-drop]");
  const entries = [];
  let paused = false;
  let wanted = false;

  class Problem extends Error {
    constructor(words, { again = true, waitMs = null } = {}) {
      super(words);
      this.again = again;
      this.waitMs = waitMs;
    }
  }
  class Stopped extends Error {}

  // What was sent before, by this browser: the address of a file that looks the same ----------------------------------
  const memory = {
    name: (entry) => `${MEMORY}${team()} ${entry.path} ${entry.file.size} ${entry.file.lastModified}`,
    get(entry) {
      try { return JSON.parse(localStorage.getItem(this.name(entry)))?.url ?? null; } catch { return null; }
    },
    put(entry) {
      try { localStorage.setItem(this.name(entry), JSON.stringify({ url: entry.url, at: Date.now() })); } catch { /* full, or forbidden */ }
    },
    drop(entry) {
      try { localStorage.removeItem(this.name(entry)); } catch { /* forbidden */ }
    },
    tidy() {
      try {
        Object.keys(localStorage).filter((name) => name.startsWith(MEMORY)).forEach((name) => {
          if (!(Date.now() - JSON.parse(localStorage.getItem(name)).at < REMEMBERED_MS)) localStorage.removeItem(name);
        });
      } catch { /* forbidden, or not ours */ }
    },
  };
  const team = () => form.elements.team.value;

  // One request -------------------------------------------------------------------------------------------------------
  const ask = (entry, method, url, headers, body, onProgress) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer = null;
    const watch = (patienceMs) => {
      clearTimeout(timer);
      timer = setTimeout(() => { request.abort(); reject(new Problem("The connection stalled.")); }, patienceMs);
    };
    entry.stop = () => { clearTimeout(timer); reject(new Stopped()); request.abort(); };
    request.open(method, url);
    request.setRequestHeader("Tus-Resumable", "1.0.0");
    request.setRequestHeader("X-CSRFToken", document.querySelector('meta[name="csrf-token"]').content);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.upload.addEventListener("progress", (event) => { watch(STALLED_MS); onProgress?.(event.loaded); });
    // From here on the server works: putting a large file together takes a while.
    request.upload.addEventListener("load", () => watch(SLOW_ANSWER_MS));
    request.addEventListener("load", () => { clearTimeout(timer); resolve(request); });
    request.addEventListener("error", () => { clearTimeout(timer); reject(new Problem("No connection.")); });
    watch(STALLED_MS);
    request.send(body);
  });

  const words = (request) => {
    try {
      const said = JSON.parse(request.responseText);
      return typeof said.detail === "string" ? said.detail : Object.values(said).flat().join(" ");
    } catch {
      return `The server answered ${request.status}.`;
    }
  };
  const expect = (request, ...statuses) => {
    if (statuses.includes(request.status)) return request;
    const seconds = Number(request.getResponseHeader("Retry-After"));
    const again = [408, 409, 423, 425, 429, 460].includes(request.status) || request.status >= 500;
    if (request.status === 401 || /login/.test(request.responseURL)) throw new Problem("You are logged out. Log in again in another tab, then try again.", { again: false });
    throw new Problem(words(request), { again, waitMs: seconds ? seconds * 1000 : null });
  };

  // One file ----------------------------------------------------------------------------------------------------------
  const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  const pair = (key, text) => `${key} ${base64(new TextEncoder().encode(text))}`;

  const begin = async (entry) => {
    const metadata = [pair("filename", entry.path), pair("team", team())].join(",");
    const headers = { "Upload-Length": entry.file.size, "Upload-Metadata": metadata, "Idempotency-Key": entry.key };
    const begun = expect(await ask(entry, "POST", form.dataset.upload, headers), 201);
    entry.url = new URL(begun.getResponseHeader("Location"), window.location.href).pathname;
    entry.sent = 0;
    memory.put(entry);
  };

  const locate = async (entry) => {
    entry.url ??= memory.get(entry);
    if (entry.url) {
      const found = await ask(entry, "HEAD", entry.url, {});
      if (found.status === 200 && Number(found.getResponseHeader("Upload-Length")) === entry.file.size) {
        entry.sent = Number(found.getResponseHeader("Upload-Offset"));
        return;
      }
      if (![200, 400, 403, 404, 410].includes(found.status)) expect(found, 200);
      memory.drop(entry);
      entry.url = null;
      entry.key = newKey();
    }
    await begin(entry);
  };

  const sendPiece = async (entry, run) => {
    const from = entry.sent;
    const piece = entry.file.slice(from, from + pieceBytes);
    const headers = { "Upload-Offset": from, "Content-Type": "application/offset+octet-stream" };
    let bytes;
    try {
      bytes = await piece.arrayBuffer();
    } catch {
      throw new Problem("It cannot be read any more. Choose it again.", { again: false });
    }
    if (window.crypto?.subtle) headers["Upload-Checksum"] = `sha256 ${base64(await crypto.subtle.digest("SHA-256", bytes))}`;
    if (entry.run !== run) throw new Stopped();
    const added = await ask(entry, "PATCH", entry.url, headers, bytes, (loaded) => {
      entry.sent = from + Math.min(loaded, bytes.byteLength);
      show(entry);
    });
    entry.sent = from;
    entry.sent = Number(expect(added, 204).getResponseHeader("Upload-Offset"));
    entry.tries = 0;
    show(entry);
  };

  const finish = async (entry) => {
    // No bytes, to have put together what was cut off right before it.
    const headers = { "Upload-Offset": entry.sent, "Content-Type": "application/offset+octet-stream" };
    expect(await ask(entry, "PATCH", entry.url, headers, ""), 204);
  };

  const send = async (entry) => {
    const run = Symbol("a run that ends when it is stopped");
    Object.assign(entry, { run, state: "sending" });
    show(entry);
    try {
      await locate(entry);
      if (entry.run !== run) return;
      if (entry.sent === entry.file.size) await finish(entry);
      while (entry.sent < entry.file.size && entry.run === run) await sendPiece(entry, run);
      if (entry.run !== run) return;
      entry.state = "done";
    } catch (problem) {
      if (entry.run !== run) return;
      entry.problem = problem.message;
      entry.state = problem.again === false ? "failed" : "waiting";
      if (entry.state === "waiting") {
        const waitMs = problem.waitMs ?? WAITS_MS[Math.min(entry.tries, WAITS_MS.length - 1)];
        entry.tries += 1;
        entry.timer = setTimeout(() => { entry.timer = null; pump(); }, waitMs);
      }
    } finally {
      if (entry.run === run) {
        show(entry);
        pump();
      }
    }
  };

  const pump = () => {
    if (paused || !team()) { summarise(); return; }
    const free = AT_ONCE - entries.filter((entry) => entry.state === "sending").length;
    entries.filter((entry) => entry.state === "waiting" && !entry.timer).slice(0, Math.max(0, free)).forEach(send);
    summarise();
    if (wanted && entries.length && entries.every((entry) => entry.state === "done")) form.requestSubmit();
  };

  const stop = (entry) => {
    clearTimeout(entry.timer);
    entry.timer = null;
    entry.run = null;
    if (entry.state === "sending") {
      entry.state = "waiting";
      entry.stop?.();
    }
  };

  // The list ----------------------------------------------------------------------------------------------------------
  const size = (bytes) => {
    const units = ["bytes", "KB", "MB", "GB"];
    const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
    return `${(bytes / 1024 ** at).toLocaleString("en-GB", { maximumFractionDigits: at > 1 ? 1 : 0 })} ${units[at]}`;
  };
  const fill = (bar, share) => {
    bar.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
    bar.querySelector("rect").setAttribute("width", (share * 100).toFixed(1));
  };
  const share = (sent, whole) => (whole ? sent / whole : 1);

  const show = (entry) => {
    if (!entry.row) return;
    const part = (name) => entry.row.querySelector(`[data-part=${name}]`);
    const percent = `${Math.floor(share(entry.sent, entry.file.size) * 100)} %`;
    const said = {
      waiting: paused ? "Paused" : entry.problem ? `${entry.problem} Trying again.` : "Waiting",
      sending: entry.sent < entry.file.size ? percent : "Being put together",
      failed: entry.problem,
      done: "Here",
    }[entry.state];
    part("words").textContent = `${size(entry.file.size)} · ${said}`;
    part("words").classList.toggle("bad-text", entry.state === "failed");
    part("again").hidden = entry.state !== "failed" && !(entry.state === "waiting" && entry.problem);
    fill(part("bar"), entry.state === "done" ? 1 : share(entry.sent, entry.file.size));
    part("bar").hidden = entry.state === "done";
    entry.row.dataset.state = entry.state;
    totals();
  };

  const totals = () => {
    const whole = entries.reduce((sum, entry) => sum + entry.file.size, 0);
    const sent = entries.reduce((sum, entry) => sum + (entry.state === "done" ? entry.file.size : entry.sent), 0);
    find("bytes").textContent = `${size(sent)} of ${size(whole)}`;
    fill(find("bar"), share(sent, whole));
  };

  const summarise = () => {
    find("panel").hidden = !entries.length;
    zone.classList.toggle("has-files", entries.length > 0);
    const here = entries.filter((entry) => entry.state === "done").length;
    const failed = entries.filter((entry) => entry.state === "failed").length;
    const said = [`${here} of ${entries.length} file${entries.length === 1 ? " is" : "s are"} here`];
    if (failed) said.push(`${failed} failed`);
    if (entries.length && !team()) said.push("choose a team to begin");
    else if (paused) said.push("paused");
    if (wanted && here < entries.length) said.push(failed ? "try again or remove what failed" : "the sheet is checked as soon as all are");
    const text = said.join(" · ");
    if (find("count").textContent !== text) find("count").textContent = text;
    find("pause").hidden = here === entries.length;
    totals();
  };

  const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  const add = (file, path) => {
    const same = entries.find((entry) => entry.path === path);
    if (same && same.file.size === file.size && same.file.lastModified === file.lastModified) return;
    if (same) remove(same);
    const row = find("row").content.firstElementChild.cloneNode(true);
    const entry = { file, path, row, key: newKey(), url: null, sent: 0, tries: 0, state: "waiting", problem: "", timer: null };
    row.querySelector("[data-part=name]").textContent = path;
    row.querySelector("[data-part=bar]").setAttribute("aria-label", path);
    row.querySelector("[data-part=again]").addEventListener("click", () => {
      clearTimeout(entry.timer);
      // A new key: the old one would be answered with the old refusal.
      Object.assign(entry, { state: "waiting", problem: "", tries: 0, timer: null, key: newKey() });
      show(entry);
      pump();
    });
    const off = row.querySelector("[data-part=remove]");
    off.setAttribute("aria-label", `Remove ${path}`);
    off.addEventListener("click", () => { remove(entry, true); pump(); });
    entries.push(entry);
    find("list").append(row);
    show(entry);
  };

  const remove = (entry, forget = false) => {
    stop(entry);
    entry.state = "removed";
    entries.splice(entries.indexOf(entry), 1);
    entry.row.remove();
    memory.drop(entry);
    if (forget && entry.url) ask({}, "DELETE", entry.url, {}).catch(() => { /* it expires by itself */ });
  };

  const addAll = (files) => {
    files.forEach(({ file, path }) => add(file, path));
    wanted = false;
    pump();
  };

  // Ways in: the input, a folder, a drop ------------------------------------------------------------------------------
  const listed = (files) => [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  const plain = ({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "Thumbs.db" || part === "desktop.ini");

  const walk = async (item, path) => {
    if (item.isFile) return [{ file: await new Promise((resolve, reject) => { item.file(resolve, reject); }), path: path + item.name }];
    const reader = item.createReader();
    const found = [];
    for (;;) {
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) break;
      found.push(...some);
    }
    return (await Promise.all(found.map((one) => walk(one, `${path}${item.name}/`)))).flat();
  };

  input.removeAttribute("required");
  input.removeAttribute("name");
  form.querySelector("[data-drop-names]")?.remove();
  input.addEventListener("change", (event) => {
    event.stopPropagation();
    const files = listed(input.files);
    input.value = "";
    addAll(files);
  });
  zone.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    zone.classList.remove("is-over");
    const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = listed(event.dataTransfer.files);
    if (!items.some((item) => item.isDirectory)) { addAll(files); return; }
    Promise.all(items.map((item) => walk(item, "")))
      .then((found) => addAll(found.flat().filter(plain)))
      .catch(() => window.aeproject.toast("A folder could not be read. Drop it again, or choose its files.", "error"));
  });
  find("folder").hidden = !("webkitdirectory" in input);
  find("folder").addEventListener("click", () => {
    const folder = Object.assign(document.createElement("input"), { type: "file", multiple: true, webkitdirectory: true });
    folder.addEventListener("change", () => addAll(listed(folder.files).filter(plain)));
    folder.click();
  });

  // Pause, team, network, the end -------------------------------------------------------------------------------------
  find("pause").addEventListener("click", () => {
    paused = !paused;
    find("pause").textContent = paused ? "Go on" : "Pause";
    if (paused) entries.forEach(stop);
    entries.forEach(show);
    pump();
  });
  if (form.elements.team.tagName === "SELECT") {
    form.elements.team.addEventListener("change", () => {
      entries.forEach((entry) => {
        stop(entry);
        Object.assign(entry, { state: "waiting", problem: "", url: null, sent: 0, tries: 0, key: newKey() });
        show(entry);
      });
      pump();
    });
  }
  window.addEventListener("online", () => {
    entries.forEach((entry) => { clearTimeout(entry.timer); entry.timer = null; });
    pump();
  });
  window.addEventListener("beforeunload", (event) => {
    if (entries.some((entry) => ["sending", "waiting"].includes(entry.state))) event.preventDefault();
  });
  form.querySelectorAll("[data-upload-forget]").forEach((button) => button.addEventListener("click", () => {
    ask({}, "DELETE", button.dataset.uploadForget, {})
      .then((gone) => { expect(gone, 204, 404); button.closest("li").remove(); })
      .catch((problem) => window.aeproject.toast(problem.message, "error"));
  }));
  form.addEventListener("submit", (event) => {
    if (!entries.every((entry) => entry.state === "done")) {
      event.preventDefault();
      event.stopPropagation();
      wanted = true;
      pump();
      return;
    }
    form.querySelectorAll("input[data-upload-id]").forEach((old) => old.remove());
    entries.forEach((entry) => {
      const id = Object.assign(document.createElement("input"), { type: "hidden", name: "file_ids" });
      id.value = entry.url.split("/").filter(Boolean).pop();
      id.dataset.uploadId = "";
      form.append(id);
    });
  });
  memory.tidy();
  // A browser that comes back to the page keeps what was in the input.
  if (input.files.length) addAll(listed(input.files));
})();
