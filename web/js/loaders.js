// The loaders: what is known about the chosen file before anybody presses Run. What a model draws, and of a file that is not on this
// computer yet how large it is and under which licence, come with the node's definition (nodes/loaders.py); what a run has fetched is
// asked for after the run.

import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { after } from "./events.js"
import { element, language, say } from "./words.js"

const LINE = 15 // pixels, as in style.css
const MARGIN = 4

/** What the definition of a loader says about files, by name: `about` and `missing`; undefined for every other node. */
const filesIn = (definition) => {
  const file = definition?.input?.required?.model_name?.[1]
  return file?.missing && file
}

const size = (bytes) => (bytes == null ? say("unknownSize") : `${(bytes / 1e6).toFixed(1)} MB`)

/** The licence in words; the whole sentence of weights/manifest.json is the notice's tooltip. */
function licence({ licence, notice }) {
  return notice.en.startsWith("Non-commercial") ? say("nonCommercial", { licence }) : licence
}

const ruler = document.createElement("canvas").getContext("2d")

/** How many lines a text takes in a width in pixels. */
function lines(text, width) {
  ruler.font = "12px sans-serif"
  return Math.ceil((1.1 * ruler.measureText(text).width) / width) // words do not fill their lines
}

/** The notice of one loader. */
class Notice {
  constructor(node, files) {
    this.node = node
    this.files = files
    this.root = element("div", { className: "codeformer-notice" })
    this.root.setAttribute("role", "status")
    this.file = node.widgets.find((widget) => widget.name === "model_name")
    after(this.file, "callback", () => this.draw())
  }

  /** The file under the name that the list has, where a workflow has that of another pack: the host would call it missing. */
  rename() {
    this.file.value = this.files.other_names[this.file.value] ?? this.file.value
  }

  draw() {
    const about = this.files.about[this.file.value]?.[language()]
    const missing = this.files.missing[this.file.value]
    const said = []
    if (about) said.push(element("div", { textContent: about }))
    if (missing) {
      const text = say("missing", { size: size(missing.bytes), licence: licence(missing) })
      said.push(element("div", { className: "missing", textContent: text }))
    }
    this.root.replaceChildren(...said)
    this.root.title = missing ? `${missing.notice[language()]}\n${say("byHand", { folder: missing.folder })}` : ""
    const [width, height] = this.node.size
    this.height = said.reduce((sum, { textContent }) => sum + LINE * lines(textContent, width - 40), 2 * MARGIN)
    if (said.length && !this.widget) this.show()
    else if (!said.length && this.widget) {
      this.node.removeWidget(this.widget)
      this.widget = null
    }
    this.node.setSize([width, Math.max(height, this.node.computeSize()[1])])
    this.node.setDirtyCanvas?.(true, true)
  }

  show() {
    this.widget = this.node.addDOMWidget("codeformer_notice", "codeformer_notice", this.root, {
      serialize: false,
      hideOnZoom: false,
      hideInPanel: true,
      getMinHeight: () => this.height,
      getMaxHeight: () => this.height,
      margin: MARGIN,
    })
    this.widget.serialize = false
  }
}

const notices = new Set()

/** Ask the server anew about the kinds of loaders that miss something. */
async function refresh() {
  const waiting = [...notices].filter((notice) => notice.files.missing[notice.file.value])
  for (const kind of new Set(waiting.map((notice) => notice.node.comfyClass))) {
    const definitions = await (await api.fetchApi(`/object_info/${kind}`)).json()
    update(definitions)
  }
}

/** Take new definitions, by kind of node. */
function update(definitions) {
  for (const notice of notices) {
    const files = filesIn(definitions[notice.node.comfyClass])
    if (!files) continue
    notice.files = files
    notice.draw()
  }
}

app.registerExtension({
  name: "codeformer.loaders",
  setup() {
    for (const end of ["execution_success", "execution_error", "execution_interrupted"]) api.addEventListener(end, refresh)
  },
  refreshComboInNodes: update,
  nodeCreated(node) {
    const files = filesIn(node.constructor.nodeData)
    if (!files) return
    const notice = (node.codeformerNotice = new Notice(node, files))
    notices.add(notice)
    notice.draw()
    after(node, "onConfigure", () => {
      notice.rename() // its widget has the value of the workflow, or of the node it is a copy of
      notice.draw()
    })
    after(node, "onRemoved", () => notices.delete(notice))
  },
})
