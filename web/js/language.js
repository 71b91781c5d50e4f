// Tells the server the language of the interface, so that nodes speak it (nodes/host/language.py): when the page has its id,
// when the language changes, and whenever a prompt is queued, because a server that was started anew has forgotten it.

import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { language } from "./words.js"

app.registerExtension({
  name: "codeformer.language",
  setup() {
    const tell = () => {
      const said = { client_id: api.clientId, language: language() }
      api.fetchApi("/codeformer/language", { method: "POST", body: JSON.stringify(said) })
    }
    api.addEventListener("status", tell, { once: true })
    app.ui.settings.addEventListener("Comfy.Locale.change", tell)
    api.addEventListener("promptQueueing", tell)
  },
})
