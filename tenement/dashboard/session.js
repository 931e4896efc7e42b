// The door.

import { h, setText } from "./dom.js";
import { sign_in } from "./store.js";

export function sign_in_page(signed_in, why) {
  const said = h("p", { class: "said", role: "alert", id: "said" }, why);
  const token = h("input", {
    id: "token", name: "token", type: "password", autocomplete: "current-password", spellcheck: "false",
    autocapitalize: "off", required: true, "aria-describedby": "said", placeholder: "ten_…",
  });
  const button = h("button", { class: "button primary wide", type: "submit" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(said, "");
    try {
      const session = await sign_in(token.value.trim());
      token.value = "";
      signed_in(session);
    } catch (error) {
      setText(said, error.status ? error.message : "The server cannot be reached.");
      token.select();
      token.focus();
    }
    button.disabled = false;
  };
  return h("main", { class: "door", id: "main" },
    h("form", { class: "card", onsubmit: submit, "aria-labelledby": "door-title" },
      h("img", { src: "icon.svg", alt: "", width: 44, height: 44 }),
      h("h1", { id: "door-title" }, "tenement"),
      h("label", { for: "token" }, "Token"), token, said, button,
      h("p", { class: "hint" }, "An administrator makes one with ", h("code", null, "ten token-gen"), ".")));
}
