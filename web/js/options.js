// The options of combos in the language of the interface: the host translates names and tooltips from locales/, but no options.
import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { language } from "./words.js"

let translations = {}

/** What people read for an option; the option itself where there is no translation. Asked anew whenever it is drawn. */
function label(node, input, option) {
  return translations[language()]?.nodeDefs?.[node]?.inputs?.[input]?.options?.[option] ?? option
}

app.registerExtension({
  name: "codeformer.options",

  async init() {
    translations = await api.getCustomNodesI18n()
  },

  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("CodeFormer")) return
    for (const widget of node.widgets ?? []) {
      if (widget.type !== "combo") continue
      widget.options.getOptionLabel = (option) => label(node.comfyClass, widget.name, option)
    }
  },
})
