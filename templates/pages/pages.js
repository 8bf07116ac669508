// What typing gains with script: lines come and go at once, and the draft is kept by itself. Without, buttons do it all.
"use strict";
(() => {
  const form = document.getElementById("contract");
  if (!form) {
    document.getElementById("errors")?.focus();
    return;
  }
  const state = document.getElementById("state");
  const QUIET = 900; // milliseconds after the last key
  let timer = 0, saving = false, again = false, dirty = false;

  const number = (list) => {
    [...list.children].forEach((line, n) => {
      for (const field of line.querySelectorAll("[name], [id], [data-asked], [aria-describedby]")) {
        for (const what of ["name", "id", "data-asked", "aria-describedby"]) {
          const was = field.getAttribute(what);
          if (was) field.setAttribute(what, was.replace(/^(report|manager|reviews|progress)-\d+/, `$1-${n}`));
        }
        if (field.value?.startsWith?.("drop-")) field.value = `drop-${list.dataset.list}-${n}`;
        if (field.classList.contains("remove")) field.setAttribute("aria-label", field.getAttribute("aria-label").replace(/\d+/, n + 1));
      }
    });
  };

  const say = (text, trouble) => {
    state.textContent = text;
    state.classList.toggle("trouble", Boolean(trouble));
  };

  const ask = (asked) => {
    for (const place of form.querySelectorAll("[data-asked]")) {
      const questions = asked[place.dataset.asked] ?? [];
      const told = questions.map((one) => `${one.what} ${one.better}`).join("\n");
      if (place.innerText.trim() === told) continue;
      place.replaceChildren(...questions.map((one) => {
        const line = document.createElement("p"), what = document.createElement("strong");
        what.textContent = one.what;
        line.append(what, ` ${one.better}`);
        return line;
      }));
    }
  };

  const save = async () => {
    if (saving) { again = true; return; }
    saving = true;
    dirty = false;
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.ok) {
        const told = await answer.json();
        form.elements.version.value = told.version;
        ask(told.asked);
        say(told.kept);
      } else if (answer.status === 409) {
        say((await answer.json()).problem, true);
      } else {
        say(answer.status === 403 ? form.dataset.ended : form.dataset.lost, true);
        dirty = true;
      }
    } catch {
      say(form.dataset.lost, true);
      dirty = true;
    } finally {
      saving = false;
      if (again) { again = false; save(); }
    }
  };

  const soon = () => {
    dirty = true;
    clearTimeout(timer);
    timer = setTimeout(save, QUIET);
  };

  form.addEventListener("input", soon);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("textarea.one")) event.preventDefault();
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=do]");
    const [deed, list] = (button?.value ?? "").split("-");
    if (deed !== "add" && deed !== "drop") return;
    event.preventDefault();
    const lines = form.querySelector(`[data-list="${list}"]`);
    if (deed === "add") {
      const blank = form.querySelector(`template[data-blank="${list}"]`).content.cloneNode(true);
      lines.append(blank);
      number(lines);
      lines.lastElementChild.querySelector("textarea, input")?.focus();
    } else {
      const line = button.closest("[data-line]");
      const next = line.nextElementSibling ?? line.previousElementSibling;
      line.remove();
      number(lines);
      (next?.querySelector("textarea, input") ?? form.querySelector(`[value="add-${list}"]`))?.focus();
    }
    soon();
  });
  form.addEventListener("submit", () => { dirty = false; clearTimeout(timer); });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "hidden" || !dirty) return;
    clearTimeout(timer);
    save();
  });
  document.getElementById("errors")?.focus();
})();
