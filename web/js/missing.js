// The loaders: a notice under a file that is not on this computer yet, before anybody presses Run. How large it is and under
// which licence comes with the node's definition (nodes/loaders.py); what a run has fetched is asked for after the run.

import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { element, say } from "./words.js"

const HEIGHT = 48 // three lines

/** Missing files of a loader, by name, as the definition of its node says; undefined for every other node. */
const missingIn = (definition) => definition?.input?.required?.model_name?.[1]?.missing

const size = (bytes) => (bytes == null ? say("unknownSize") : `${(bytes / 1e6).toFixed(1)} MB`)

/** The licence in words; the whole sentence of weights/manifest.json is the notice's tooltip. */
function licence({ licence, notice }) {
  return notice.startsWith("Non-commercial") ? say("nonCommercial", { licence }) : licence
}

/** The notice of one loader. */
class Notice {
  constructor(node, missing) {
    this.node = node
    this.missing = missing
    this.root = element("div", { className: "codeformer-missing" })
    this.root.setAttribute("role", "status")
    this.file = node.widgets.find((widget) => widget.name === "model_name")
    const before = this.file.callback
    this.file.callback = (...values) => {
      before?.apply(this.file, values)
      this.draw()
    }
  }

  draw() {
    const file = this.missing[this.file.value]
    if (file) {
      this.root.textContent = `${say("missing", { size: size(file.bytes), licence: licence(file) })} ${say("fetched")}`
      this.root.title = `${file.notice}\n${say("byHand", { folder: file.folder })}`
      if (!this.widget) this.show()
    } else if (this.widget) {
      this.node.removeWidget(this.widget)
      this.widget = null
    }
    this.node.setDirtyCanvas?.(true, true)
  }

  show() {
    this.widget = this.node.addDOMWidget("codeformer_missing", "codeformer_missing", this.root, {
      serialize: false,
      hideOnZoom: false,
      getMinHeight: () => HEIGHT,
      getMaxHeight: () => HEIGHT,
      margin: 4,
    })
    this.widget.serialize = false
    const [width, height] = this.node.size
    this.node.setSize([width, Math.max(height, this.node.computeSize()[1])])
  }
}

const notices = new Set()

/** Ask the server anew about the kinds of loaders that miss something. */
async function refresh() {
  const waiting = [...notices].filter((notice) => notice.widget)
  for (const kind of new Set(waiting.map((notice) => notice.node.comfyClass))) {
    const definitions = await (await api.fetchApi(`/object_info/${kind}`)).json()
    update(definitions)
  }
}

/** Take new definitions, by kind of node. */
function update(definitions) {
  for (const notice of notices) {
    const missing = missingIn(definitions[notice.node.comfyClass])
    if (!missing) continue
    notice.missing = missing
    notice.draw()
  }
}

app.registerExtension({
  name: "codeformer.missing",
  setup() {
    for (const end of ["execution_success", "execution_error", "execution_interrupted"]) api.addEventListener(end, refresh)
  },
  refreshComboInNodes: update,
  nodeCreated(node) {
    const missing = missingIn(node.constructor.nodeData)
    if (!missing) return
    const notice = (node.codeformerNotice = new Notice(node, missing))
    notices.add(notice)
    notice.draw()
    const removed = node.onRemoved
    node.onRemoved = function () {
      notices.delete(notice)
      removed?.call(this)
    }
  },
  loadedGraphNode(node) {
    node.codeformerNotice?.draw() // its widget has the workflow's value now
  },
})
