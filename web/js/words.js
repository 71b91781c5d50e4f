// What the pack's widgets say, in the language that ComfyUI is set to. The texts of nodes and inputs are in locales/.

import { app } from "../../../scripts/app.js"

const WORDS = {
  en: {
    unseen: "Run the workflow once to select faces here with a click.",
    uncompared: "Run the workflow once to see before and after here.",
    nothingToCompare: "Nothing was changed.",
    before: "Before",
    after: "After",
    line: "Line between before and after",
    zoom: "What is shown",
    whole: "Whole image",
    number: "Face {number}",
    repair: "repair {name}",
    fidelity: "fidelity",
    fidelityOf: "Fidelity of {name}",
    common: "As the others",
    commonHint: "Use the fidelity of CodeFormer Restore again",
    beyond: "not among the faces that first and count keep",
    unswept: "Run the workflow once to see the face at each fidelity.",
    sweepHint: "Click the face that you like best to use its fidelity.",
    use: "Use the fidelity {fidelity}",
    written: "{node}: fidelity {fidelity}.",
    noTarget: "Connect CodeFormer Restore to the same faces: a click here sets its fidelity.",
    targetLinked: "The fidelity of {node} comes from another node.",
    fixFromHere: "Fix faces from here",
    advanced: "More settings",
    fewer: "Fewer settings",
    noFace: "No face was found.",
    chosen: "{on} of {all} faces selected",
    last: "One face stays selected. To leave all faces as they are, bypass the nodes that repair them.",
    linked: "The numbers come from another node.",
    face: "Face {number}: confidence {score}, {pixels} px.",
    left: "Left alone: {reason}.",
    previous: "Previous image",
    next: "Next image",
    picture: "Image {index} of {count}",
    pictures: "Image shown",
    all: "All",
    allHint: "Select every face",
    missing: "Not on this computer yet: {size}, {licence}. It is downloaded and checked when the workflow runs.",
    byHand: "Offline: put the file into {folder} yourself.",
    unknownSize: "unknown size",
    nonCommercial: "{licence} (non-commercial use only)",
  },
  zh: {
    unseen: "运行一次后，即可在此点击选择人脸。",
    uncompared: "运行一次后，即可在此查看前后对比。",
    nothingToCompare: "没有任何改动。",
    before: "修复前",
    after: "修复后",
    line: "前后对比的分界线",
    zoom: "显示范围",
    whole: "整张图像",
    number: "人脸 {number}",
    repair: "修复{name}",
    fidelity: "保真度",
    fidelityOf: "{name}的保真度",
    common: "与其他人脸相同",
    commonHint: "重新使用 CodeFormer 修复节点的保真度",
    beyond: "不在“起始序号”和“数量”保留的范围内",
    unswept: "运行一次后，即可在此查看各保真度下的人脸。",
    sweepHint: "点击最满意的人脸，即可使用它的保真度。",
    use: "使用保真度 {fidelity}",
    written: "{node}：保真度 {fidelity}。",
    noTarget: "请将 CodeFormer 修复节点连接到同一组人脸：点击此处即可设置它的保真度。",
    targetLinked: "“{node}”的保真度来自其他节点。",
    fixFromHere: "从这里修复人脸",
    advanced: "更多设置",
    fewer: "收起设置",
    noFace: "没有找到人脸。",
    chosen: "已选 {on} / {all} 张人脸",
    last: "至少保留一张人脸。若要全部保持原样，请绕过修复节点。",
    linked: "编号来自其他节点。",
    face: "人脸 {number}：置信度 {score}，{pixels} 像素。",
    left: "未处理：{reason}。",
    previous: "上一张图像",
    next: "下一张图像",
    picture: "第 {index} / {count} 张图像",
    pictures: "显示的图像",
    all: "全选",
    allHint: "选择所有人脸",
    missing: "此电脑上还没有该文件：{size}，{licence}。运行工作流时会自动下载并校验。",
    byHand: "离线时：请手动将文件放入 {folder}。",
    unknownSize: "大小未知",
    nonCommercial: "{licence}（仅限非商业用途）",
  },
}

/** The language of WORDS and locales/ for the one that ComfyUI is set to. For zh-TW, as for all that are not here, ComfyUI shows
 *  the names of our nodes in English; so their options and widgets are English, too. */
export function language() {
  const locale = app.extensionManager?.setting?.get("Comfy.Locale")
  return locale in WORDS ? locale : "en"
}

/** The sentence of a key of WORDS, with its {names} filled in. */
export function say(key, values = {}) {
  const sentence = WORDS[language()][key]
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name])
}

/** An HTML element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}
