// What a node shows below its widgets after a run, in both of ComfyUI's renderers.
//
// The host makes new node objects on undo, on redo and when a tab comes back, and Nodes 2.0 goes on showing the element of the old
// object. So a panel belongs to a place, the graph and the id of the node, and keeps nothing of what it shows: it draws what the
// node's widgets and the outputs of the last run say now.

import { app } from "../../../scripts/app.js"
import { api } from "../../../scripts/api.js"
import { after } from "./events.js"
import { element, say } from "./words.js"

const panels = new Map() // place of a node -> its panel

/** The key of a node in `app.nodeOutputs`. */
const placeOf = (node) => (node.graph === app.rootGraph ? String(node.id) : `${node.graph.id}:${node.id}`)

let history = null // promise of the server's last runs

/** The place of a node by its path in a prompt: "4", or "12:4" inside the subgraph of node 12. */
function placeAt(path) {
  const ids = path.split(":")
  const graph = ids.slice(0, -1).reduce((outer, id) => outer?.getNodeById(id)?.subgraph, app.rootGraph)
  return graph && placeOf({ graph, id: ids.at(-1) })
}

/** What runs showed before the page was opened anew: the place of a node -> its output, from the server's history. */
async function recall() {
  history ??= api.fetchApi("/history?max_items=16").then((answer) => answer.json(), () => ({}))
  const runs = Object.values(await history)
  const ours = runs.filter((run) => run.prompt?.[3]?.extra_pnginfo?.workflow?.id === app.rootGraph.id)
  return new Map(ours.flatMap((run) => Object.entries(run.outputs)).map(([path, output]) => [placeAt(path), output]))
}

/** The base of all panels. A subclass has `static` kinds (of nodes), key (of their output), style and height, `show()`, and perhaps
 *  `static watched` (widgets that it depends on) with `changed()`. */
export class Panel {
  constructor() {
    this.root = element("div", { className: `codeformer-panel ${this.constructor.style}` })
    // Keys that work on buttons and sliders here must not reach the canvas, too.
    const keys = [" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]
    this.root.addEventListener("keydown", (event) => keys.includes(event.key) && event.stopPropagation())
    this.index = 0 // of the image that is shown
  }

  /** What the last run of the node sent under this key; null before the first. */
  output(key) {
    const place = this.node?.graph ? placeOf(this.node) : null
    return app.nodeOutputs?.[place]?.[key] ?? null
  }

  widget(name) {
    return this.node.widgets?.find((widget) => widget.name === name)
  }

  /** Change widgets of nodes as one step of undo. */
  write(...changes) {
    app.canvas.emitBeforeChange()
    for (const [node, name, value] of changes) {
      const widget = node.widgets.find((one) => one.name === name)
      widget.value = value
      widget.callback?.(value, app.canvas, node)
    }
    this.node.graph?.setDirtyCanvas(true, true)
    app.canvas.emitAfterChange()
    this.draw()
  }

  draw() {
    if (!this.node) return
    const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.key : null
    this.show()
    if (focused) this.root.querySelector(`[data-key="${focused}"]`)?.focus()
  }

  button(key, text, title, onclick) {
    const button = element("button", { type: "button", textContent: text, title, onclick })
    button.dataset.key = key
    button.setAttribute("aria-label", title)
    return button
  }

  /** A list to choose from: its options as pairs of a value and the words for it. */
  choice(key, title, options, value, choose) {
    const list = element("select", { title, onchange: () => choose(list.value) })
    list.append(...options.map(([value, textContent]) => element("option", { value, textContent })))
    list.value = value
    list.dataset.key = key
    list.setAttribute("aria-label", title)
    return list
  }

  /** What turns to the other images of a batch. */
  pager(count) {
    this.index = Math.min(this.index, Math.max(0, count - 1))
    if (count < 2) return []
    const turn = (index) => {
      this.index = (Number(index) + count) % count
      this.draw()
    }
    const images = Array.from({ length: count }, (_, index) => [index, say("picture", { index: index + 1, count })])
    return [
      this.button("previous", "‹", say("previous"), () => turn(this.index - 1)),
      this.choice("image", say("pictures"), images, this.index, turn),
      this.button("next", "›", say("next"), () => turn(this.index + 1)),
    ]
  }
}

document.head.append(element("link", { rel: "stylesheet", href: new URL("style.css", import.meta.url).href }))

/** The address of a file in the host's temporary folder. */
export const fileAddress = (file) => api.apiURL(`/view?${new URLSearchParams(file)}`)

/** Give every node of the kinds of a panel its panel. */
export function registerPanel(Kind, name) {
  const attach = (node, widget) => {
    const place = placeOf(node)
    let panel = panels.get(place)
    if (!(panel instanceof Kind)) panels.set(place, (panel = new Kind()))
    panel.node = node
    widget.element = panel.root
    panel.draw()
  }

  const panelOf = (node) => (node.graph && Kind.kinds.includes(node.comfyClass) ? panels.get(placeOf(node)) : null)

  const drawAll = () => panels.forEach((panel) => panel instanceof Kind && panel.node?.graph && panel.draw())

  app.registerExtension({
    name: `codeformer.${name}`,

    nodeCreated(node) {
      if (!Kind.kinds.includes(node.comfyClass)) return
      const widget = node.addDOMWidget(`codeformer_${name}`, `codeformer_${name}`, element("div"), {
        serialize: false,
        hideOnZoom: false,
        hideInPanel: true, // no second, empty row in the properties panel
        getMinHeight: () => Kind.height,
      })
      widget.serialize = false
      after(node, "onAdded", () => attach(node, widget))
      for (const event of ["onConfigure", "onExecuted", "onConnectionsChange"]) after(node, event, () => panelOf(node)?.draw())
      for (const watched of node.widgets.filter((one) => Kind.watched?.includes(one.name)))
        after(watched, "callback", () => {
          panelOf(node)?.changed?.()
          panelOf(node)?.draw()
        })
    },

    async loadedGraphNode(node) {
      const panel = panelOf(node)
      panel?.draw()
      if (!panel || panel.output(Kind.key)) return
      const recalled = (await recall()).get(placeOf(node))?.[Kind.key]
      if (!recalled || panel.node !== node || panel.output(Kind.key)) return
      app.nodeOutputs[placeOf(node)] = { [Kind.key]: recalled }
      panel.draw()
    },

    onNodeOutputsUpdated: drawAll,
  })
}
