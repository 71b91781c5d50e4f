// Tells the server the language of the interface whenever a prompt is queued, so that nodes speak it (nodes/host/language.py).

import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { language } from "./words.js"

app.registerExtension({
  name: "codeformer.language",
  setup() {
    api.addEventListener("promptQueueing", () => {
      const said = { client_id: api.clientId, language: language() }
      api.fetchApi("/codeformer/language", { method: "POST", body: JSON.stringify(said) })
    })
  },
})
